"""Every program of the Realtime Voice API's document runs, on the wire server of the provider it names.

Where a program sleeps so that a reply can come, it waits here until nothing more is to be expected.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import threading
from pathlib import Path

import pytest
from duologue import MissingExtra, available_transports
from duologue.testing import WireServer
from duologue.voice import (
    OpenAIRealtimeProvider,
    RealtimeConnectionError,
    RealtimeError,
    RealtimeVoice,
    ToolCallRequest,
    VoiceSession,
)

from .brains import PIECE, Brain

FILE = Path(__file__).with_name("snippets.md")
FENCE = re.compile(r"^## (\d+): (.+?)\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = {int(n): (title, body) for n, title, body in FENCE.findall(FILE.read_text(encoding="utf-8"))}
NAMES_GEMINI = {n for n, (_, body) in SNIPPETS.items() if re.search(r'provider="gemini"|GeminiRealtime', body)}
NAMES_OPENAI = {n for n, (_, body) in SNIPPETS.items() if re.search(r'"alloy"|OpenAIRealtimeProvider', body)}
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY")
SPEECH = b"\x10\x20" * 2400
QUIET = bytes(4800)

has_gemini = "gemini" in available_transports()


class Served:
    """A wire server on a thread of its own, as programs of the document own the loop."""

    def __init__(self, codec, brain, *, tls=False):
        self.codec, self.brain, self.tls = codec, brain, tls

    def __enter__(self):
        self.ready, self.loop = threading.Event(), asyncio.new_event_loop()
        self.stop = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),), daemon=True)
        self.thread.start()
        assert self.ready.wait(10)
        return self

    async def serve(self):
        async with WireServer(self.codec, self.brain, tls=self.tls) as self.server:
            self.ready.set()
            await self.stop.wait()

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def openai(monkeypatch):
    from duologue_openai import OpenAIServerCodec

    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    brain = Brain(asked_again=True)
    with Served(OpenAIServerCodec, brain) as served:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", served.server.url.replace("ws", "http") + "/v1")
        yield brain


@pytest.fixture
def gemini(monkeypatch, openai):
    if not has_gemini:
        pytest.skip("duologue-google is not installed")
    import duologue.voice.provider as provider
    from duologue_google import GeminiServerCodec

    brain = Brain(asked_again=False)
    with Served(GeminiServerCodec, brain, tls=True) as served:
        get = provider.get_transport

        def reach(name, **options):
            here = {"base_url": served.server.url, "ssl": served.server.ssl} if name == "gemini" else {}
            return get(name, **options, **here)

        monkeypatch.setattr(provider, "get_transport", reach)
        monkeypatch.setenv("GEMINI_API_KEY", "test")
        yield brain


class World:
    """What the programs of a page find around them."""

    def __init__(self, monkeypatch):
        self.played, self.stopped = [], 0
        self.sessions: list[VoiceSession] = []
        world = self
        opened, slept = VoiceSession.open, asyncio.sleep

        async def open_session(session):
            world.sessions.append(session)
            return await opened(session)

        async def sleep(seconds, result=None):
            if seconds < 5:
                return await slept(seconds, result)
            for session in world.sessions:
                await session.wait_until_idle()
            return result

        monkeypatch.setattr(VoiceSession, "open", open_session)
        monkeypatch.setattr(asyncio, "sleep", sleep)

        async def microphone_stream():
            for piece in (SPEECH, SPEECH, QUIET):
                yield piece

        def my_function(city: str) -> str:
            """Do something."""
            return city

        def stop_audio_playback():
            world.stopped += 1

        self.namespace = {
            "__name__": "snippet",
            "RealtimeVoice": RealtimeVoice,
            "ToolCallRequest": ToolCallRequest,
            "asyncio": asyncio,
            "play_audio": self.played.append,
            "stop_audio_playback": stop_audio_playback,
            "microphone_data": SPEECH,
            "audio_bytes": SPEECH,
            "audio_data": SPEECH,
            "microphone_stream": microphone_stream,
            "my_function": my_function,
        }

    def run(self, number):
        _, body = SNIPPETS[number]
        body = body.replace("ai_infra.llm.realtime", "duologue.voice")
        code = compile(body, f"snippet {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        made = eval(code, self.namespace)
        if inspect.iscoroutine(made):
            asyncio.run(made)


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_the_document_has_twenty_two_programs():
    assert sorted(SNIPPETS) == list(range(1, 23))
    assert {2, 15} == NAMES_GEMINI
    assert {4, 14, 21} <= NAMES_OPENAI


def test_all_programs_run_in_order(openai, world, capsys):
    """One after another, as a reader would type them."""
    for number in SNIPPETS:
        if number not in NAMES_GEMINI:
            world.run(number)
    assert "['openai'" in capsys.readouterr().out


@pytest.mark.parametrize("number", sorted(NAMES_GEMINI))
def test_programs_that_name_gemini_run_on_its_server(number, gemini, world):
    world.run(number)
    if number == 15:
        assert gemini.heard > 0


def test_without_its_package_gemini_says_what_to_install(monkeypatch, openai, world):
    monkeypatch.setattr("duologue.discovery._installed", list)
    for number in NAMES_GEMINI:
        with pytest.raises(MissingExtra):
            world.run(number)


def test_quick_start_sends_audio(openai, world):
    world.run(1)
    assert openai.heard > 0


def test_the_providers_are_listed(openai, world, capsys):
    world.run(3)
    available, configured = capsys.readouterr().out.splitlines()
    assert available.startswith("['openai'")
    assert configured == "['openai']"


def test_the_configuration_reaches_the_provider(openai, world, caplog):
    world.run(4)
    assert [record.message for record in caplog.records if "retired" in record.message]
    config = world.namespace["config"]
    assert config.temperature == 0.8


def test_callbacks_hear_and_show(openai, world, capsys):
    for number in (1, 5, 6, 7, 8, 9, 21):
        world.run(number)
    out = capsys.readouterr().out
    assert "Assistant: Four." in out
    assert openai.texts == ["What's 2 + 2?"]


def test_tools_run_and_their_results_are_told(openai, world):
    world.run(10)
    asyncio.run(idle_run(world, "What's the weather in Tokyo?"))
    assert openai.results[-1] == "Weather in Tokyo: Sunny, 72°F"


async def idle_run(world, text):
    async with world.namespace["voice"].connect() as session:
        await session.send_text(text)
        await session.wait_until_idle()


def test_a_custom_handler_answers(openai, world):
    world.run(10)
    world.run(7)
    world.run(11)
    asyncio.run(idle_run(world, "What's the weather in Tokyo?"))
    assert openai.results[-1] == "Weather in Tokyo: Sunny, 72°F"
    assert world.namespace["tool_results"] == []  # the first handler answered

    world.run(10)
    world.run(11)
    asyncio.run(idle_run(world, "What's the weather in Tokyo?"))
    [request] = world.namespace["tool_results"]
    assert request.arguments == {"city": "Tokyo"}


def test_audio_is_streamed(openai, world):
    world.run(1)
    before = openai.heard
    openai.listened.clear()
    world.run(12)
    assert openai.listened.wait(10)
    assert openai.heard > before


def test_run_plays_and_prints(openai, world, capsys):
    world.run(1)
    world.run(13)
    assert PIECE in world.played
    out = capsys.readouterr().out
    assert "Hello to you." in out
    assert "Good morning." in out


def test_the_openai_provider_is_used_directly(openai, world, capsys):
    world.run(14)
    assert openai.texts == ["Hello!"]
    assert "Four." in capsys.readouterr().out
    assert isinstance(world.namespace["provider"], OpenAIRealtimeProvider)
    assert not world.namespace["session"].is_active


def test_failures_are_caught_as_the_document_does(openai, world, capsys, monkeypatch):
    world.run(1)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    world.namespace["voice"] = RealtimeVoice()
    world.run(16)
    assert "Connection failed:" in capsys.readouterr().out


def test_a_failure_that_is_none_of_the_connection_is_caught_too(openai, world, capsys):
    world.run(1)
    world.namespace["audio_data"] = b"odd"
    world.run(16)
    assert "Realtime error:" in capsys.readouterr().out


def test_the_assistant_with_tools_calculates(openai, world, capsys):
    world.run(22)
    asyncio.run(world.namespace["math_assistant"]())
    assert openai.results == ["345"]
    assert "Assistant: It is 345." in capsys.readouterr().out


def test_the_errors_are_the_documents():
    assert issubclass(RealtimeConnectionError, RealtimeError)


@pytest.mark.models
@pytest.mark.parametrize("number", sorted(set(SNIPPETS) - NAMES_GEMINI - NAMES_OPENAI))
def test_programs_that_name_no_provider_run_with_the_local_transport(number, monkeypatch, world):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    world.namespace["voice"] = RealtimeVoice()
    assert world.namespace["voice"].provider == "local"
    if number in (11,):
        world.run(10)
    world.run(number)
