"""What the wire benchmarks of all providers share: clients to compare, and what is measured of them.

A provider's benchmark describes its protocol as a `Provider` and calls `compare`. Three clients are measured in the
same run, in interleaved rounds: a bare `websockets` loop that decodes with msgspec, and the whole `RealtimeAgent` over
the links `websockets` and `picows`. Costs are process CPU time of the client; the server is another process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from unittest import mock

from duologue import AudioBlock, AudioOutputDelta, RealtimeAgent, SpeechStarted, Tool, TurnDetection
from duologue.tasks import TaskSet
from websockets.asyncio.client import ClientConnection, connect
from wire_peer import SETTLED, Frame, Script, Server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from duologue.transport import RealtimeTransport

ROUNDS = 5
SPEECH = bytes(range(256)) * 7 + bytes(128)
"""40 ms of PCM16 at 24 kHz."""
CHUNK = bytes(range(256)) * 2 + bytes(128)
"""20 ms of PCM16 at 16 kHz."""
MICROPHONE = "audio/pcm;rate=16000"

FLOOD, PACED, SENT, SENT_PACED, TURNS = 20_000, 1_000, 10_000, 1_000, 300
EVERY = 0.002
"""Seconds between messages of a paced run: each finds an idle loop."""
SESSIONS, SECONDS = 20, 3


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A protocol under measurement.

    Attributes:
        script: what the server says.
        hello: the frames a bare client opens with.
        speech: the PCM of a frame, None where it holds none: typed msgspec decoding, as bare as it gets.
        chunk: the frame of a piece of the microphone.
        answer: the frame with which a bare client answers a call, or stops the reply when the user speaks.
        transport: the provider's transport to an address.
        microphone: what the microphone sends: the rate that the provider takes, so that nothing is resampled.
        detection: whose business turns are; the default leaves cuts to the client.
    """

    script: Script
    hello: tuple[Frame, ...]
    speech: Callable[[Frame], bytes | None]
    chunk: Callable[[bytes], Frame]
    answer: Callable[[Frame], Frame | None]
    transport: Callable[[str], RealtimeTransport]
    microphone: str = MICROPHONE
    detection: TurnDetection | None = field(default_factory=lambda: TurnDetection(interrupt=False))


class Client(Protocol):
    """One way of talking to the server, open within `async with`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def hear(self, count: int) -> int:
        """Take so many pieces of speech; return their bytes."""
        ...

    async def say(self, pcm: bytes) -> None:
        """Send a piece of the microphone."""
        ...

    async def serve(self) -> None:
        """Answer calls and cut replies until cancelled."""
        ...


class Bare:
    """The `websockets` library and a loop."""

    def __init__(self, provider: Provider, url: str) -> None:
        self._provider = provider
        self._url = url

    async def __aenter__(self) -> Self:
        self._socket: ClientConnection = await connect(
            self._url, compression=None, ping_interval=None, proxy=None, max_size=None
        )
        for frame in self._provider.hello:
            await self._socket.send(frame)
        for _ in self._provider.script.welcome:
            await self._socket.recv()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def hear(self, count: int) -> int:
        speech, total = self._provider.speech, 0
        async for frame in self._socket:
            pcm = speech(frame)
            if pcm is not None:
                total += len(pcm)
                count -= 1
                if not count:
                    break
        return total

    async def say(self, pcm: bytes) -> None:
        await self._socket.send(self._provider.chunk(pcm))

    async def serve(self) -> None:
        answer = self._provider.answer
        async for frame in self._socket:
            reply = answer(frame)
            if reply is not None:
                await self._socket.send(reply)


class Agent:
    """The whole agent."""

    def __init__(self, provider: Provider, url: str) -> None:

        async def answer() -> str:
            return "42"

        tool = Tool("answer", answer, "The answer.")
        self._microphone = provider.microphone
        self._agent = RealtimeAgent(
            "You are brief.", provider.transport(url), [tool], turn_detection=provider.detection
        )

    async def __aenter__(self) -> Self:
        await self._agent.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._agent.close()

    async def hear(self, count: int) -> int:
        total = 0
        async for event in self._agent.events():
            if type(event) is AudioOutputDelta:
                total += len(event.data)
                count -= 1
                if not count:
                    break
        return total

    async def say(self, pcm: bytes) -> None:
        await self._agent.send(AudioBlock(pcm, self._microphone))

    async def serve(self) -> None:
        async for event in self._agent.events():
            if type(event) is SpeechStarted:
                await self._agent.interrupt(heard_ms=0)


@contextmanager
def only_websockets() -> Iterator[None]:
    """Links are made as if nothing faster were installed."""
    with mock.patch("duologue.wire.links.has_picows", return_value=False):
        yield


CLIENTS: dict[str, tuple[Callable[[Provider, str], Client], bool]] = {
    "bare websockets": (Bare, False),
    "agent, websockets": (Agent, False),
    "agent, picows": (Agent, True),
}
"""Clients by name, and whether they may use the fast link."""


# -- what is measured: µs of CPU, unless it says otherwise ------------------------------------------------


async def hear_flood(client: Client, server: Server) -> float:
    return await _hear(client, FLOOD)


async def hear_paced(client: Client, server: Server) -> float:
    return await _hear(client, PACED)


async def _hear(client: Client, count: int) -> float:
    began = time.process_time()
    total = await client.hear(count)
    took = time.process_time() - began
    assert total == count * len(SPEECH), f"{total} bytes of speech instead of {count * len(SPEECH)}"
    return took / count * 1e6


async def say_flood(client: Client, server: Server) -> float:
    began = time.process_time()
    for _ in range(SENT // 25):
        for _ in range(25):
            await client.say(CHUNK)
        await asyncio.sleep(0.001)  # as fast as a server takes it: nobody's buffer fills up
    took = time.process_time() - began
    await _counted(server)
    return took / SENT * 1e6


async def say_paced(client: Client, server: Server) -> float:
    began = time.process_time()
    for _ in range(SENT_PACED):
        await client.say(CHUNK)
        await asyncio.sleep(EVERY)
    took = time.process_time() - began
    await _counted(server)
    return took / SENT_PACED * 1e6


async def _counted(server: Server) -> None:
    await asyncio.to_thread(server.result)


async def turns(client: Client, server: Server) -> float:
    """The median time from what the server said to the answer, in µs of wall time."""
    serving = TaskSet().start(client.serve(), "answering")
    try:
        found = await asyncio.to_thread(server.result)
    finally:
        serving.cancel()
    return float(found["p50_us"])


MEASURES: dict[str, tuple[str, int, float, Callable[[Client, Server], Awaitable[float]]]] = {
    "receive, flood, µs/msg": ("flood", FLOOD, 0.0, hear_flood),
    "receive, paced, µs/msg": ("paced", PACED, EVERY, hear_paced),
    "send, flood, µs/chunk": ("sink", SENT, 0.0, say_flood),
    "send, paced, µs/chunk": ("sink", SENT_PACED, 0.0, say_paced),
    "tool round trip, p50 µs": ("tools", TURNS, 0.0, turns),
    "interrupt, p50 µs": ("cuts", TURNS, 0.0, turns),
}
SESSION = "paced session, ms/s"
"""20 sessions that hear and speak at real pace, CPU of each."""


async def real_pace(make: Callable[[], Client]) -> float:
    """Hear and speak at real pace in many sessions; ms of CPU for each session and second."""

    async def live(client: Client) -> None:
        hearing = TaskSet().start(client.hear(SECONDS * 25), "hearing")
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(SECONDS * 50):
            await asyncio.sleep(max(0.0, began + number * 0.02 - loop.time()))
            await client.say(CHUNK)
        await hearing

    clients = [make() for _ in range(SESSIONS)]
    for client in clients:
        await client.__aenter__()
    began = time.process_time()
    await asyncio.gather(*map(live, clients))
    took = time.process_time() - began
    for client in clients:
        await client.__aexit__()
    return took / SESSIONS / SECONDS * 1e3


async def timer() -> float:
    """What the loop's timer of a paced sender costs, without anything sent."""
    began = time.process_time()
    for _ in range(SENT_PACED):
        await asyncio.sleep(EVERY)
    return (time.process_time() - began) / SENT_PACED * 1e6


# -- rounds and tables ------------------------------------------------------------------------------------

Table = dict[str, dict[str, float]]


def compare(provider: Provider, only: str = "", rounds: int = ROUNDS) -> Table:
    """Measure every client in interleaved rounds; return medians by measure and client."""
    found: dict[str, dict[str, list[float]]] = {}
    with Server(provider.script) as server:
        for _ in range(rounds):
            for measure in (*MEASURES, SESSION):
                if only in measure:
                    for name, value in _round(provider, server, measure):
                        found.setdefault(measure, {}).setdefault(name, []).append(value)
    return {measure: {n: statistics.median(v) for n, v in values.items()} for measure, values in found.items()}


def _round(provider: Provider, server: Server, measure: str) -> Iterator[tuple[str, float]]:
    for name, (kind, fast) in CLIENTS.items():
        with ExitStack() as stack:
            if not fast:
                stack.enter_context(only_websockets())
            if measure == SESSION:
                server.plays("paced", SECONDS * 25, 0.04)
                yield name, asyncio.run(real_pace(lambda kind=kind: kind(provider, server.url)))  # type: ignore[misc]
                continue
            mode, count, every, run = MEASURES[measure]
            has_rounds = provider.script.result if mode == "tools" else provider.script.stop
            if run is turns and not has_rounds:
                continue
            server.plays(mode, count, every)
            yield name, asyncio.run(_alone(kind(provider, server.url), server, run))
    if "send, paced" in measure:
        yield "(timer alone)", asyncio.run(timer())


async def _alone(client: Client, server: Server, run: Callable[[Client, Server], Awaitable[float]]) -> float:
    async with client:
        await asyncio.sleep(SETTLED / 2)
        return await run(client, server)


def report(table: Table, name: str, base: str = "bare websockets", **more: Any) -> None:
    """Print a table with ratios, and write it to `results/NAME.json`."""
    columns = list(dict.fromkeys(client for values in table.values() for client in values))
    print(f"{'median of ' + str(ROUNDS):<26}" + "".join(f"{column:>26}" for column in columns))
    for measure, values in table.items():
        cells = []
        for column in columns:
            value, ratio = values.get(column), ""
            if value is not None and base in values and column != base:
                ratio = f" ({value / values[base]:.2f} x)"
            cells.append("" if value is None else f"{value:.2f}{ratio}")
        print(f"{measure:<26}" + "".join(f"{cell:>26}" for cell in cells))
    results = Path(__file__).with_name("results")
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps({**table, **more}, indent=1, ensure_ascii=False) + "\n")
