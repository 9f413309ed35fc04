"""The programs that people look at, on a terminal and on the rig."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import importlib.util
import itertools
import os
import shlex
import shutil
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from .conversation import say
from .reciter import user_voice
from .tmux import Tmux

pytestmark = pytest.mark.audio

ROOT = Path(__file__).resolve().parents[2]
CHAT = ROOT / "examples" / "realtime_chat" / "chat.py"
BACKENDS = '''
import json
import os

from duologue.blocks import ImageBlock, TextBlock
from duologue.events import SpeechStarted, SpeechStopped, ToolInputDelta, ToolUseEnd, ToolUseStart, TranscriptDelta
from duologue.testing import CallAnswered, Expect, ScriptedTransport, Wait, speech


def call(number, name, is_right, /, **arguments):
    """Call a tool and wait for its answer; the session fails if it is another one."""
    yield ToolUseStart(0, f"c{number}", name)
    yield ToolInputDelta(0, f"c{number}", json.dumps(arguments))
    yield ToolUseEnd(0, f"c{number}")
    yield Expect(CallAnswered, where=lambda a: a.tool_use_id == f"c{number}" and is_right(a.content), within=40)


def is_picture(content):
    text, picture = content
    is_jpeg = isinstance(picture, ImageBlock) and picture.data[:2] == b"\\xff\\xd8"
    return text == TextBlock("This is A page.") and is_jpeg


def tools():
    yield from call(1, "list_files", lambda said: said == "The files are: poem.txt.")
    yield from call(2, "read_file", lambda said: said == "Roses.", name="poem")
    yield from call(3, "read_file", lambda said: "outside of the folder" in said, name="../secret.txt")
    yield from call(4, "read_file", lambda said: "outside of the folder" in said, name="door")
    yield from call(5, "take_screenshot", is_picture, url=os.environ["PAGE"])
    yield from speech("All is well.", ms=600, response_id="r1", item_id="i1")
    yield Wait(600)


def talk():
    yield SpeechStarted()
    yield Wait(0.5)
    yield SpeechStopped()
    yield TranscriptDelta("user", "Tell me a story.", True, item_id="u1")
    yield from speech("Once upon a time there was a very long reply.", ms=60_000, response_id="r1", item_id="i1")
    yield Wait(600)


def calling():
    return ScriptedTransport(tools)


def talking():
    return ScriptedTransport(talk)
'''


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Tmux]]:
    """Run a command on a terminal; skips where there is no tmux, but in CI there must be."""
    if shutil.which("tmux") is None and not os.environ.get("CI"):
        pytest.skip("no tmux here")
    opened: list[Tmux] = []

    def open_(*command: str, **how: int) -> Tmux:
        opened.append(Tmux(tmp_path, shlex.join([sys.executable, *command]), **how))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture
def backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted backends that programs find by name."""
    home = tmp_path / "installed"
    metadata = home / "terminal_doubles-0.dist-info"
    metadata.mkdir(parents=True)
    (home / "terminal_doubles.py").write_text(BACKENDS)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: terminal-doubles\nVersion: 0\n")
    points = "[duologue.transports]\ncalling = terminal_doubles:calling\ntalking = terminal_doubles:talking\n"
    (metadata / "entry_points.txt").write_text(points)
    monkeypatch.setenv("PYTHONPATH", str(home))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page of the web."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<title>A page</title><body style='background:#c00'>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PAGE", f"http://127.0.0.1:{server.server_port}/")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


async def ended(shown: Tmux, key: str = "C-c") -> int:
    """End the program by a key; check what it leaves behind."""
    shown.press(key)
    code = await shown.end()
    assert shown.is_as_before
    assert shown.left_running() == []
    return code


@pytest.mark.usefixtures("backends", "page")
async def test_the_example_calls_each_tool_and_refuses_what_lies_outside_of_its_folder(start_rig, terminal, tmp_path):
    chromium = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")))
    if not (chromium and importlib.util.find_spec("playwright")) and not os.environ.get("CI"):
        pytest.skip("no browser here")
    start_rig("caller")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "poem.txt").write_text("Roses.")
    (tmp_path / "secret.txt").write_text("The secret.")
    (folder / "door").symlink_to(tmp_path / "secret.txt")
    shown = terminal(str(CHAT), "--transport", "calling", "--folder", str(folder))
    text = await shown.wait_for("agent All is well.", "Traceback")
    assert "take_screenshot gave TextBlock, ImageBlock" in text
    assert "secret." not in text.replace("secret.txt", "")
    assert await ended(shown) == 130


@pytest.mark.usefixtures("backends")
async def test_the_chat_is_painted_obeys_keys_and_gives_the_terminal_back(start_rig, terminal):
    start_rig("caller")
    shown = terminal("-m", "duologue_cli", "chat", "--transport", "talking")
    await shown.wait_for("speaking")
    text = await shown.wait_for("agent  Once upon a time")
    assert "you    Tell me a story." in text
    shown.press("m")
    await shown.wait_for("muted")
    shown.press("i")
    text = await shown.wait_for("(interrupted after")
    assert "✂" in text
    assert await ended(shown) == 130
    assert "Once upon a time" in shown.text()


@pytest.mark.models
async def test_the_example_talks_with_the_local_models(start_rig, terminal):
    start_rig("caller")
    (question,) = user_voice(("List the files in the folder.",))
    shown = terminal(str(CHAT))
    await shown.wait_for("Speak with local")
    await say(question, "mic_in")
    text = await shown.wait_for("list_files gave")
    assert "shopping-list.txt" in text
    await shown.wait_for("agent The files are")
    assert await ended(shown) == 130


# -- a conversation with the chat ---------------------------------------------------------------------------

QUESTIONS = (
    "What time is it in Tokyo?",
    "What is the capital of France?",
    "Set a timer for five minutes.",
    "What time is it in London?",
    "Tell me about the sea.",
)
LONG = "Tell me a long story about a lighthouse."


class Talk:
    """Somebody in front of the terminal, who speaks, presses keys and takes pictures."""

    def __init__(self, shown: Tmux, sink: str, pictures: Path) -> None:
        self.shown, self.sink, self.pictures = shown, sink, pictures
        self.asked = self.answered = 0
        self._numbers = itertools.count(1)

    def picture(self, name: str) -> None:
        (self.pictures / f"{next(self._numbers):02d}-{name}.ansi").write_text(self.shown.picture())

    async def listening(self) -> None:
        """Wait until the agent has nothing more to say."""
        await self.shown.wait_for("● listening")

    async def ask(self, sound: NDArray[np.int16]) -> bool:
        """Say something, again where nobody answers; return whether the agent speaks."""
        for _ in range(3):
            self.asked += 1
            await say(sound, self.sink)
            with contextlib.suppress(AssertionError):
                await self.shown.wait_for("▶ speaking", within=8)
                self.answered += 1
                return True
            await self.listening()
        return False

    async def for_a_while(self, seconds: float) -> None:
        """Talk, and go through all the keys again and again."""
        *questions, long = user_voice((*QUESTIONS, LONG))
        (stop,) = user_voice(("Stop, please.",))
        until = time.monotonic() + seconds
        await self.listening()
        for turn in itertools.count():
            await self.ask(questions[turn % len(questions)])
            self.picture("speaking")
            await self.listening()
            match turn % 5:
                case 0:
                    await self.cut_by_key(long)
                case 1:
                    await self.mute(questions[0])
                case 2:
                    await self.type("What time is it in Paris?")
                case 3:
                    await self.cut_by_voice(long, stop)
                case _:
                    await self.push_to_talk(questions[1])
            await self.listening()
            self.picture("listening")
            if turn >= 4 and time.monotonic() > until:
                return

    async def cut_by_key(self, long: NDArray[np.int16]) -> None:
        assert await self.ask(long), "nobody tells a story"
        self.shown.press("i")
        await self.shown.wait_for("■ interrupted", within=5)
        self.picture("interrupted")

    async def cut_by_voice(self, long: NDArray[np.int16], stop: NDArray[np.int16]) -> None:
        await self.ask(long)
        await asyncio.sleep(1.5)  # the user listens for a while
        await say(stop, self.sink)
        self.picture("cut in")

    async def mute(self, sound: NDArray[np.int16]) -> None:
        self.shown.press("m")
        await self.shown.wait_for("muted")
        await say(sound, self.sink)
        self.picture("muted")
        assert "▶ speaking" not in self.shown.text()
        assert "◆ thinking" not in self.shown.text()
        self.shown.press("m")

    async def push_to_talk(self, sound: NDArray[np.int16]) -> None:
        self.shown.press("p")
        await self.shown.wait_for("  push to talk\n")
        self.shown.press("Space")
        await self.shown.wait_for("on air")
        await say(sound, self.sink)
        self.picture("on air")
        self.shown.press("Space")
        await self.shown.wait_for("  push to talk\n")
        await self.shown.wait_for("▶ speaking", within=20)  # what was said is over, though nobody fell silent
        await self.listening()
        self.shown.press("p")

    async def type(self, text: str) -> None:
        self.shown.press("t")
        await self.shown.wait_for("Enter sends")
        self.shown.type(text)
        await self.shown.wait_for(text)
        self.picture("typing")
        self.shown.press("Enter")
        await self.shown.wait_for(f"you    {text}")
        await self.shown.wait_for("▶ speaking", within=20)
        self.asked += 1
        self.answered += 1


async def talk_at_the_terminal(setup: str, seconds: float, terminal: Callable[..., Tmux], folder: Path) -> None:
    recording = folder / "talk.wav"
    began = time.monotonic()
    shown = terminal("-m", "duologue_cli", "chat", "--output", str(recording))
    await shown.wait_for("loading", within=10)
    loading_s = time.monotonic() - began
    talk = Talk(shown, "spk" if setup in ("talker", "echo") else "mic_in", folder)
    await talk.for_a_while(seconds)
    took = time.monotonic() - began
    assert await ended(shown) == 130
    text = shown.text()
    (folder / "talk.txt").write_text(
        f"the screen was up after {loading_s:.1f} s; {talk.answered} answers to {talk.asked}\n{text}"
    )
    with wave.open(str(recording)) as file:
        recorded = file.getnframes() / file.getframerate()
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert took - 20 < recorded < took
    assert np.abs(both.astype(int)).max(axis=0).min() > 1000, "both sides can be heard"
    assert talk.answered > talk.asked / 2, "recognition may fail, but not every other time"
    assert "voice to voice" in text
    assert "✂" in text


@pytest.mark.models
async def test_a_conversation_at_the_terminal(start_rig, terminal, tmp_path):
    start_rig("caller")
    await talk_at_the_terminal("caller", 45.0, terminal, tmp_path)


@pytest.mark.models
@pytest.mark.soak
async def test_five_minutes_at_the_terminal(start_rig, terminal, tmp_path):
    start_rig("talker")
    await talk_at_the_terminal("talker", 300.0, terminal, tmp_path)
