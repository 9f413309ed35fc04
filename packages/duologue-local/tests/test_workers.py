"""Worker processes: they start from anywhere, end with their parent, and their trouble is told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from duologue import AudioBlock, TextBlock
from duologue.errors import ConfigurationError, ConnectFailed, ConnectionLost, DuologueError, SessionClosed
from duologue.testing import assert_no_leaks
from duologue_local import LocalTransport, pool
from duologue_local.channel import MAX_WAITING, ProcessChannel, ThreadChannel
from duologue_local.client import StageClient, StageFailed
from duologue_local.framing import pack
from local_kit import LoudVAD, Reader, ScriptedLLM, Stages, ToneTTS, silence, speech

STAGES = """
import os, sys, time
print("printed at import")
from duologue_local import Generation, Recognition, Speech

class Ear:
    def transcribe(self, pcm):
        os.write(1, b"native noise")
        if len(pcm) == 2:
            os.abort()
        if len(pcm) == 4:
            time.sleep(60)
        if len(pcm) == 6:
            raise ValueError("six")
        return Recognition(f"{len(pcm)} bytes")

class Broken:
    def __init__(self):
        raise RuntimeError("no such device")

class Brain:
    context_tokens = 500
    def generate(self, request, emit):
        count = 0
        while not emit(f"{count} "):
            count += 1
            time.sleep(0.001)
        return Generation("aborted", 0, count)
"""
POINTS = """
[duologue.asr]
ear = some_stages:Ear
broken = some_stages:Broken
[duologue.llm]
brain = some_stages:Brain
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with stages, installed for this process and its workers."""
    (tmp_path / "some_stages.py").write_text(STAGES)
    info = tmp_path / "some_stages-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-stages\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


async def opened(kind: Any, name: str, patience: float = 10.0) -> StageClient:
    client = StageClient(kind, ProcessChannel(kind, name), patience)
    client.start()
    await asyncio.wrap_future(client.ready)
    return client


async def ended(client: StageClient) -> None:
    client.close()
    await client.closed()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return not Path("/proc").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while alive(pid):
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("installed")
async def test_a_worker_answers_and_leaves_nothing() -> None:
    async with assert_no_leaks():
        client = await opened("asr", "ear")
        pid = client.channel.pid  # type: ignore[attr-defined]
        answers = await asyncio.gather(*(client.call("transcribe", bytes(n)) for n in (10, 20, 30)))
        assert [header["text"] for header, _ in answers] == ["10 bytes", "20 bytes", "30 bytes"]
        await ended(client)
        assert not alive(pid)


@pytest.mark.usefixtures("installed")
async def test_a_request_that_fails_costs_only_itself() -> None:
    client = await opened("asr", "ear")
    with pytest.raises(StageFailed, match="speech recognition failed: six"):
        await client.call("transcribe", bytes(6))
    with pytest.raises(StageFailed, match="no operation 'nonsense'"):
        await client.call("nonsense")
    assert (await client.call("transcribe", bytes(8)))[0]["text"] == "8 bytes"
    await ended(client)


@pytest.mark.usefixtures("installed")
async def test_a_worker_that_dies_says_so_to_everybody() -> None:
    client = await opened("asr", "ear")
    told: list[DuologueError] = []
    client.watch(asyncio.get_running_loop(), told.append)
    with pytest.raises(ConnectionLost, match="speech recognition worker is gone: it ended by itself"):
        await client.call("transcribe", bytes(2))
    with pytest.raises(ConnectionLost):
        await client.call("transcribe", bytes(8))
    assert len(told) == 1
    await ended(client)


@pytest.mark.usefixtures("installed")
async def test_a_worker_that_hangs_is_stopped_at_its_deadline() -> None:
    client = await opened("asr", "ear", patience=0.3)
    began = time.monotonic()
    with pytest.raises(ConnectionLost, match=r"did not answer for 0\.3 s"):
        await client.call("transcribe", bytes(4))
    assert time.monotonic() - began < 5
    await gone(client.channel.pid)  # type: ignore[attr-defined]
    await ended(client)


@pytest.mark.usefixtures("installed")
async def test_what_is_no_longer_wanted_stops() -> None:
    client = await opened("llm", "brain")
    request = {"messages": [], "tools": [], "max_tokens": 1, "temperature": 0.0, "seed": 0}
    first = client.stream("generate", request=request)
    assert (await anext(first))[0]["text"] == "0 "
    await first.aclose()
    second = client.stream("generate", request=request)  # is served only when the first one has stopped
    async with asyncio.timeout(5):
        assert (await anext(second))[0]["text"] == "0 "
    await second.aclose()
    await ended(client)


@pytest.mark.usefixtures("installed")
async def test_a_stage_that_does_not_load_says_why() -> None:
    client = StageClient("asr", ProcessChannel("asr", "broken"), 5)
    client.start()
    with pytest.raises(ConnectFailed, match="'broken' could not be loaded: RuntimeError: no such device"):
        await asyncio.wrap_future(client.ready)
    await ended(client)


@pytest.mark.usefixtures("installed")
def test_a_worker_is_shared_by_event_loops() -> None:
    async def main() -> tuple[int, str]:
        transport = LocalTransport(vad=LoudVAD(), asr="ear", llm=ScriptedLLM(), tts=ToneTTS())
        session = await transport.connect(system="", tools=[])
        header, _ = await session._stages["asr"].call("transcribe", bytes(12))
        await session.close()
        return session._stages["asr"].channel.pid, header["text"]  # type: ignore[attr-defined]

    (first, text), (second, again) = asyncio.run(main()), asyncio.run(main())
    assert text == again == "12 bytes"
    assert first != second  # nobody held it in between
    assert not alive(first)


@pytest.mark.usefixtures("installed")
async def test_a_dead_worker_ends_the_session_and_the_next_gets_a_new_one() -> None:
    transport = LocalTransport(vad=LoudVAD(), asr="ear", llm=ScriptedLLM(), tts=ToneTTS())
    async with assert_no_leaks():
        session = await transport.connect(system="", tools=[])
        reader = Reader(session)
        os.kill(session._stages["asr"].channel.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await reader.task
        assert isinstance(reader.error, ConnectionLost)
        other = await transport.connect(system="", tools=[])
        assert (await other._stages["asr"].call("transcribe", bytes(8)))[0]["text"] == "8 bytes"
        await other.close()
        await session.close()


PARENT = """
import asyncio, os, sys, time
sys.path.insert(0, {tests!r})
from duologue_local import LocalTransport
from local_kit import LoudVAD, ScriptedLLM, ToneTTS

async def main():
    transport = LocalTransport(vad=LoudVAD(), asr="ear", llm=ScriptedLLM(), tts=ToneTTS())
    session = await transport.connect(system="", tools=[])
    other = os.fork() if "fork" in sys.argv else 0
    if "fork" in sys.argv and other == 0:
        time.sleep(60)  # a sibling that has inherited our end of the pipe
        os._exit(0)
    print(session._stages["asr"].channel.pid, other, flush=True)
    if "leave" not in sys.argv:
        await asyncio.sleep(60)

asyncio.run(main())
"""


def parent(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A script without a main guard that opens a session."""
    script = folder / "script.py"
    script.write_text(PARENT.format(tests=str(Path(__file__).parent)))
    (folder / "json.py").write_text("raise AssertionError('a file beside the script got into the worker')")
    command = [sys.executable, "-P", str(script), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
async def test_no_worker_survives_a_killed_parent(installed: Path) -> None:
    folder = installed / "elsewhere"
    folder.mkdir()
    with parent(folder) as process:
        assert process.stdout is not None
        pid, _ = map(int, process.stdout.readline().split())
        assert alive(pid)
        process.kill()
        process.wait()
        await gone(pid)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
async def test_nor_when_somebody_else_still_holds_its_pipe(installed: Path) -> None:
    folder = installed / "elsewhere"
    folder.mkdir()
    with parent(folder, "fork") as process:
        assert process.stdout is not None
        pid, sibling = map(int, process.stdout.readline().split())
        try:
            process.kill()
            process.wait()
            await gone(pid)
        finally:
            os.kill(sibling, signal.SIGKILL)


async def test_a_program_that_forgets_to_close_ends_and_so_do_the_workers(installed: Path) -> None:
    folder = installed / "elsewhere"
    folder.mkdir()
    with parent(folder, "leave") as process:
        assert process.stdout is not None
        pid, _ = map(int, process.stdout.readline().split())
        assert process.wait(10) == 0
        await gone(pid)


@pytest.mark.skipif(sys.platform == "win32", reason="standard streams of a worker")
def test_a_worker_ends_with_its_input_and_keeps_its_output_clean(installed: Path) -> None:
    asked = pack({"op": "transcribe", "id": 1}, bytes(10))
    worker = [sys.executable, "-P", "-m", "duologue_local.worker", "asr", "ear"]
    with subprocess.Popen(worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(asked)
        process.stdin.flush()
        from duologue_local.framing import read

        ready, answer = read(process.stdout), read(process.stdout)  # type: ignore[arg-type]
        assert ready is not None
        assert answer is not None
        assert (ready[0]["kind"], answer[0]["kind"]) == ("ready", "done")
        process.send_signal(signal.SIGINT)  # Ctrl-C reaches the whole group: a worker leaves it to its parent
        time.sleep(0.1)  # the signal is delivered some time; a worker that obeys it is gone by now
        process.stdin.write(asked)
        process.stdin.flush()
        again = read(process.stdout)  # type: ignore[arg-type]
        assert again is not None
        assert again[0]["kind"] == "done"
        process.stdin.close()
        assert process.wait(10) == 0
        assert b"native noise" in process.stderr.read()


async def test_an_unknown_stage_is_named_with_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"no asr stage 'whispr'; installed: .*whisper-tiny\.en"):
        await LocalTransport(asr="whispr").connect(system="", tools=[])


async def test_what_is_no_stage_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"an object with the methods of duologue_local\.TTS"):
        await LocalTransport(vad=LoudVAD(), tts=object()).connect(system="", tools=[])  # type: ignore[arg-type]


async def test_a_process_takes_only_so_many_sessions() -> None:
    stages = Stages()
    transport = stages.transport(max_sessions=2)
    first = await transport.connect(system="", tools=[])
    second = await transport.connect(system="", tools=[])
    with pytest.raises(ConnectFailed, match="this process may have 2") as caught:
        await transport.connect(system="", tools=[])
    assert caught.value.code == "full"
    await first.close()
    third = await transport.connect(system="", tools=[])
    await second.close()
    await third.close()
    assert pool.POOL._entries == {}


async def test_a_connect_that_is_cancelled_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    preparing = threading.Event()
    proceed = threading.Event()

    def prepare(request: object) -> None:
        preparing.set()
        proceed.wait(10)

    monkeypatch.setattr(stages.llm, "prepare", prepare, raising=False)
    async with assert_no_leaks():
        connecting = asyncio.ensure_future(stages.transport().connect(system="", tools=[]))
        while not preparing.is_set():
            await asyncio.sleep(0.005)
        connecting.cancel()
        proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    assert pool.POOL._entries == {}
    assert pool.POOL._sessions == 0


async def test_detection_goes_on_while_the_recogniser_works() -> None:
    """A user can cut in although the last utterance is still being transcribed."""
    stages = Stages(asr=("One.", "Two."))
    session = await stages.transport().connect(system="", tools=[])
    reader = Reader(session)
    stages.asr.gate.clear()
    await session.send(AudioBlock(speech(320) + silence(352)))
    from duologue.events import SpeechStarted, TurnComplete

    await reader.wait(SpeechStarted)
    await session.send(AudioBlock(speech(320)))
    await reader.wait(SpeechStarted, within=2)
    stages.asr.gate.set()
    await session.send(AudioBlock(silence(352)))
    await reader.wait(TurnComplete)
    assert stages.llm.prompt() == [("user", "One. Two.")]
    await session.close()


async def test_a_stalled_detection_makes_the_microphone_wait() -> None:
    class Stalled(LoudVAD):
        go = threading.Event()

        def process(self, frame: bytes) -> float:
            self.go.wait(10)
            return 0.0

    stages = Stages()
    stages.vad = Stalled()
    session = await stages.transport().connect(system="", tools=[])
    await session.send(AudioBlock(silence(32)))
    await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await session.send(AudioBlock(silence(10_000)))
    Stalled.go.set()
    await session.send(AudioBlock(silence(10_000)))
    await session.close()


def post_twice(channel: ThreadChannel) -> None:
    """The first may still find room, if the thread has taken a request."""
    for _ in range(2):
        channel.post({"op": "process", "id": MAX_WAITING, "stream": 1}, silence(32))


async def test_a_failing_detection_ends_the_session_and_frees_the_microphone() -> None:
    class Failing(LoudVAD):
        go = threading.Event()

        def process(self, frame: bytes) -> float:
            self.go.wait(10)
            raise RuntimeError("out of order")

    stages = Stages()
    stages.vad = Failing()
    session = await stages.transport().connect(system="", tools=[])
    reader = Reader(session)
    await session.send(AudioBlock(silence(32)))
    await asyncio.sleep(0.01)
    sending = asyncio.ensure_future(session.send(AudioBlock(silence(10_000))))
    await asyncio.sleep(0.01)
    assert not sending.done()
    Failing.go.set()
    async with asyncio.timeout(2):
        await sending
        await reader.task
    assert "out of order" in str(reader.error)
    with pytest.raises(SessionClosed):
        await session.send(AudioBlock(silence(32)))
    await session.close()


async def test_an_overloaded_stage_says_so() -> None:
    hold = threading.Event()

    class Slow(LoudVAD):
        def process(self, frame: bytes) -> float:
            hold.wait(10)
            return 0.0

    channel = ThreadChannel("vad", Slow())
    channel.start(lambda header, body: None)
    for number in range(MAX_WAITING):
        channel.post({"op": "process", "id": number, "stream": 1}, silence(32))
    with pytest.raises(DuologueError, match="behind"):
        post_twice(channel)
    hold.set()
    channel.close()
    channel.join()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = textwrap.dedent("""
        import sys
        import duologue_local
        from duologue_local import BargeIn, LocalTransport
        LocalTransport(barge_in=BargeIn())
        heavy = {"numpy", "onnxruntime", "ctranslate2", "xllamacpp", "soxr", "sanotts", "pydantic", "asyncio"}
        print(sorted(heavy & set(sys.modules)))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['asyncio']")


async def test_typed_text_waits_for_commit() -> None:
    stages = Stages()
    session = await stages.transport().connect(system="", tools=[])
    await session.send(TextBlock("Hello."))
    await session.send(TextBlock("  "))
    await asyncio.sleep(0.02)
    assert stages.llm.requests == []
    await session.close()
