"""Chaos: seeded conversations over a link that is cut, delayed, frozen, half-closed and garbled at random.

A user types, speaks, has tools called and interrupts, while faults strike. In the end the link is left in peace, and
then everything must have arrived: each typed text in what the model knows, each call run once, its result known once,
each piece of speech once, and a last question answered. A text that crosses a handle on its way may arrive twice:
nobody can tell whether the session that the handle stands for has it, and twice is better than never.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duologue.agent import RealtimeAgent
from duologue.blocks import AudioBlock, TextBlock
from duologue.events import (
    AudioOutputDelta,
    Event,
    GoingAway,
    Interrupted,
    ToolCancelled,
    ToolResult,
    ToolStarted,
    TranscriptDelta,
)
from duologue.testing.leaks import assert_no_leaks
from duologue.testing.peer import Left
from duologue.testing.stand_in import StandIn
from duologue.testing.wire_server import Refusal, WireServer
from duologue.tool import OnInterrupt, Tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.testing.peer import Peer
    from duologue.transport import RealtimeTransport
    from duologue.wire.codec import ServerCodec

LONGEST = 900.0
"""Virtual seconds a conversation may last: beyond that something hangs."""

GARBAGE: tuple[str | bytes, ...] = ("", "{", "[]", "null", "\x00", b"\xff\xfe\xfd", '{"type": 5}', '{"unheard": "of"}')


POLICIES: tuple[OnInterrupt, ...] = ("cancel", "keep", "detach")
FAULTS = ("abort", "freeze", "half_close", "garbage", "raw", "delay", "going_away", "refuse", "close")


@dataclass
class Chaos:
    """What is tried, and how.

    Attributes:
        server_codec: makes the server half of the protocol.
        transport: makes the transport for a server; its policy should allow many attempts in a row.
        faults: which faults may strike.
        steps: what the user does, about.
        garbage: frames that are no messages of the protocol.
        tls: serve over TLS.
        resumable: the model issues handles, in some of the conversations.
        tells_results: as of `StandIn`.
        timeline: what happened in the last run, for the message of a failure.
    """

    server_codec: Callable[[], ServerCodec]
    transport: Callable[[WireServer], RealtimeTransport]
    faults: tuple[str, ...] = (
        "abort",
        "freeze",
        "half_close",
        "garbage",
        "raw",
        "delay",
        "going_away",
        "refuse",
        "close",
    )
    steps: int = 12
    garbage: tuple[str | bytes, ...] = GARBAGE
    tls: bool = False
    resumable: bool = True
    tells_results: bool = True
    timeline: list[str] = field(default_factory=list)

    async def run(self, seed: int) -> None:
        """Run one conversation.

        Raises:
            AssertionError: something was lost, doubled, left behind or hung; the seed and the timeline are in it.
        """
        self.timeline = []
        try:
            async with assert_no_leaks(), asyncio.timeout(LONGEST):
                await _Run(self, random.Random(seed)).run()  # noqa: S311 - a seed is to give the same again
        except ExceptionGroup as exc:
            raise AssertionError(f"seed {seed}: {exc.exceptions[0]!r}\n{self.story}") from exc
        except TimeoutError:
            raise AssertionError(f"seed {seed} hangs:\n{self.story}") from None
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}: {exc}\n{self.story}") from exc

    @property
    def story(self) -> str:
        """The timeline as text."""
        return "\n".join(self.timeline[-120:])


class _Run:
    """One conversation."""

    def __init__(self, chaos: Chaos, rng: random.Random) -> None:
        self.chaos = chaos
        self.rng = rng
        self.model = StandIn(
            pace=rng.choice([0.0, 0.04, 0.08]),
            resumable=rng.random() < 0.7 and chaos.resumable,
            withdraws=rng.random() < 0.7,
            tells_results=chaos.tells_results,
        )
        self.policy = rng.choice(POLICIES)
        self.typed: list[str] = []
        self.ran: Counter[str] = Counter()
        self.events: list[Event] = []
        self.pieces: Counter[bytes] = Counter()
        self.moved = asyncio.Event()
        self.error: BaseException | None = None
        self.count = 0

    def note(self, what: str) -> None:
        self.chaos.timeline.append(f"{asyncio.get_running_loop().time():8.3f} {what}")

    async def run(self) -> None:
        rng = self.rng
        accept_after = lambda: rng.uniform(0.0, 1.5)  # noqa: E731
        async with WireServer(
            self.chaos.server_codec, self.model, tls=self.chaos.tls, accept_after=accept_after
        ) as self.server:
            agent = RealtimeAgent("Be brief.", self.chaos.transport(self.server), [self._tool()])
            async with asyncio.TaskGroup() as group:
                await agent.connect()
                reading = group.create_task(self._read(agent))
                striking = group.create_task(self._strike())
                try:
                    for _ in range(self.chaos.steps):
                        await self._act(agent)
                    striking.cancel()
                    self.server.refuse = None
                    await self._settle(agent)
                finally:
                    striking.cancel()
                    await agent.close()
                    await reading
            self._judge()

    def _tool(self) -> Tool:
        async def work(key: str) -> str:
            self.ran[key] += 1
            await asyncio.sleep(self.rng.choice([0.0, 0.1, 1.0, 3.0]))
            return f"done-{key}"

        return Tool("work", work, "Work.", on_interrupt=self.policy)

    async def _read(self, agent: RealtimeAgent) -> None:
        try:
            async for event in agent.events():
                if isinstance(event, AudioOutputDelta):
                    self.pieces[event.data[:2]] += 1
                else:
                    if not isinstance(event, TranscriptDelta) or not event.delta.startswith("word"):
                        self.note(f"  {event}"[:160])
                    self.events.append(event)
                self.moved.set()
        except Exception as exc:  # task boundary: how the session ended is judged at the end
            self.error = exc
            self.note(f"  the session ended: {exc!r}")
        self.moved.set()

    # -- the user -------------------------------------------------------------------------------------

    async def _act(self, agent: RealtimeAgent) -> None:
        rng = self.rng
        await asyncio.sleep(rng.choice([0.0, 0.05, 0.3, 1.0, 4.0]))
        self.count += 1
        match rng.choice(["type", "type", "type", "mention", "call", "call", "story", "speak", "interrupt"]):
            case "type":
                await self._type(agent, f"text {self.count}")
            case "mention":
                await self._type(agent, f"by the way {self.count}", respond=False)
            case "call":
                calls = [f'call work {{"key": "{self.count}-{n}"}}' for n in range(rng.randint(1, 3))]
                await self._type(agent, "\n".join(calls))
            case "story":
                await self._type(agent, f"story {rng.randint(5, 40)} number {self.count}")
            case "speak":
                self.note("the user speaks")
                for n in range(rng.randint(5, 60)):
                    loud = n < 40
                    await agent.send(AudioBlock((b"\x10\x27" if loud else b"\0\0") * 320))
                    await asyncio.sleep(0.02)
            case _:
                self.note("the user interrupts")
                await agent.interrupt()

    async def _type(self, agent: RealtimeAgent, text: str, *, respond: bool | None = None) -> None:
        self.note(f"the user types {text!r}")
        self.typed.append(text)
        await agent.send(TextBlock(text), respond=respond)

    # -- the faults -----------------------------------------------------------------------------------

    async def _strike(self) -> None:
        rng = self.rng
        while True:
            await asyncio.sleep(rng.choice([0.01, 0.2, 0.7, 2.0, 6.0]))
            fault = rng.choice(self.chaos.faults)
            peer = self.server.peers[-1]
            self.note(f"fault: {fault} on connection {peer.number}")
            try:
                await self._fault(fault, peer)
            except (Left, OSError, RuntimeError):
                continue  # that connection was gone already

    async def _fault(self, fault: str, peer: Peer) -> None:
        rng = self.rng
        match fault:
            case "abort":
                peer.abort()
            case "freeze":
                peer.freeze()
                await asyncio.sleep(16)
                peer.abort()
            case "half_close":
                await peer.half_close()
            case "garbage":
                await peer.frame(rng.choice(self.chaos.garbage))
            case "raw":
                peer.raw(b"\xff" + rng.randbytes(rng.randint(1, 80)))
            case "delay":
                peer.delay = rng.choice([0.02, 0.3])
                await asyncio.sleep(1.0)
                peer.delay = 0.0
            case "going_away":
                await peer.send(GoingAway(rng.choice([0.5, 3.0, 20.0])))
            case "refuse":
                self.server.refuse = Refusal(503, "busy")
                peer.abort()
                await asyncio.sleep(rng.choice([0.1, 2.0]))
                self.server.refuse = None
            case _:
                await peer.close(rng.choice([1001, 1011, 1012]), "restarting")

    # -- the end --------------------------------------------------------------------------------------

    async def _settle(self, agent: RealtimeAgent) -> None:
        """Wait until everything has arrived, and ask one more question."""
        self.note("peace")
        for peer in self.server.peers:
            peer.delay = 0.0
        await asyncio.sleep(40)  # a frozen link is noticed, backoff ends, tools are done
        await self._type(agent, "the last question")
        while not any(
            isinstance(e, TranscriptDelta) and e.role == "assistant" and "question" in e.delta for e in self.events
        ):
            assert self.error is None, f"the session ended: {self.error!r}"
            self.moved.clear()
            await self.moved.wait()
        await asyncio.sleep(12)

    def _judge(self) -> None:
        known = self.model.memory.said
        told = Counter(text for who, text in known if who == "user")
        for text in self.typed:
            assert 1 <= told[text] <= 2, f"{text!r} is known {told[text]} times: {known}"
        for key, times in self.ran.items():
            assert times == 1, f"the call {key} ran {times} times"
        self._judge_calls(known)
        twice = [piece for piece, times in self.pieces.items() if times > 1]
        assert not twice, f"speech came twice: {twice}"
        cut = Counter(e.response_id for e in self.events if isinstance(e, Interrupted))
        assert all(times == 1 for times in cut.values()), f"replies were cut twice: {cut}"

    def _judge_calls(self, known: list[tuple[str, str]]) -> None:
        answers = Counter((number, answer.tool_use_id) for number, answer in self.model.answers)
        assert all(times == 1 for times in answers.values()), f"calls were answered twice: {answers}"
        started = {e.tool_use_id: e for e in self.events if isinstance(e, ToolStarted)}
        given_up = {e.tool_use_id for e in self.events if isinstance(e, ToolCancelled)}
        finished = {e.tool_use_id for e in self.events if isinstance(e, ToolResult) and not e.is_error} - given_up
        ended = Counter(e.tool_use_id for e in self.events if isinstance(e, ToolResult | ToolCancelled))
        for call_id, event in started.items():
            assert ended[call_id] >= 1, f"nobody was told what became of {call_id}"
            key: Any = event.input.get("key")
            results = [text for who, text in known if f"done-{key}" in text and _tells(who, text)]
            assert len(results) <= 1, f"the result of {call_id} is known {len(results)} times: {known}"
            if call_id in finished and self.policy != "detach":
                assert results, f"the result of {call_id} (work {key}) is not known: {known}"


def _tells(who: str, text: str) -> bool:
    """Whether an entry of the memory tells a result, rather than repeats it."""
    if who == "assistant":
        return text.startswith("[called")
    return who == "result" or "Result of" in text
