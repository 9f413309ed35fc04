"""TransportContract: what every transport must do, as a pytest class to subclass."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from duologue.agent import RealtimeAgent
from duologue.blocks import AudioBlock, TextBlock
from duologue.errors import ProtocolError, SessionClosed, ToolError
from duologue.events import (
    AudioOutputDelta,
    Error,
    Event,
    Interrupted,
    SpeechStarted,
    TextDelta,
    ToolResult,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing.leaks import assert_no_leaks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from duologue.tool import Tool
    from duologue.transport import RealtimeTransport


class TransportContract:
    """Subclass it in a test module, name the class `Test...`, and pytest runs the contract.

    Override `transport()`, and the attributes that fit your backend. Tests for which an attribute is None
    are skipped.

    Attributes:
        system: the system prompt of the sessions.
        prompt: a typed turn that gets a reply.
        long_prompt: a typed turn whose reply lasts long enough to be cut.
        tools: the tools of the sessions.
        tool_prompt: a typed turn that makes the model call one of `tools`.
        spoken: a spoken turn that gets a reply, PCM16 mono at 16 kHz, with a second of silence at its end.
        patience: seconds to wait for anything.
        close_limit: seconds `close()` may take.

    Example:
        ```python
        from duologue.testing import ScriptedTransport, TransportContract

        class TestMine(TransportContract):
            def transport(self) -> ScriptedTransport:
                return ScriptedTransport.saying("Hello there.")
        ```
    """

    system: ClassVar[str] = "You are brief."
    prompt: ClassVar[str] = "Hello!"
    long_prompt: ClassVar[str | None] = None
    tools: ClassVar[list[Tool]] = []
    tool_prompt: ClassVar[str | None] = None
    spoken: ClassVar[bytes | None] = None
    patience: ClassVar[float] = 20.0
    close_limit: ClassVar[float] = 5.0

    def transport(self) -> RealtimeTransport:
        """Make the transport under test."""
        raise AssertionError("override transport() to return the transport to test")

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run one test; override to use another event loop."""
        asyncio.run(main)

    def agent(self, transport: RealtimeTransport | None = None) -> RealtimeAgent:
        """Make an agent on the transport under test."""
        return RealtimeAgent(self.system, transport or self.transport(), list(self.tools))

    # -- the contract ---------------------------------------------------------------------------------

    def test_a_session_opens_and_closes_and_leaves_nothing(self) -> None:
        """Also when nothing was said, and when it is closed twice."""

        async def main() -> None:
            async with assert_no_leaks(within=self.close_limit):
                agent = self.agent()
                await agent.connect()
                await self._in_time(agent.close())
                await agent.close()
                assert [e async for e in agent.events() if isinstance(e, Error)] == []

        self.run(main())

    def test_typed_text_gets_a_reply_with_ids(self) -> None:
        """Every piece of output says which response it belongs to."""

        async def main() -> None:
            async with self.agent() as agent:
                await agent.send(TextBlock(self.prompt))
                seen = await self._until(agent, lambda e: isinstance(e, TurnComplete) or _speaks(e))
                assert _speaks(seen[-1]), f"the turn ended without a reply: {seen}"
                assert all(e.response_id for e in seen if isinstance(e, AudioOutputDelta | TextDelta | TurnComplete))

        self.run(main())

    def test_a_closed_session_says_so(self) -> None:
        """Sending raises `SessionClosed`; the stream of events ends."""

        async def main() -> None:
            agent = self.agent()
            await agent.connect()
            session = agent.session
            await self._in_time(agent.close())
            for use in (agent.send(TextBlock("?")), agent.commit(), session.send(TextBlock("?")), session.commit()):
                try:
                    await use
                except SessionClosed:
                    continue
                raise AssertionError("a closed session took what was sent")
            async with asyncio.timeout(self.patience):
                async for _ in agent.events():
                    pass

        self.run(main())

    def test_an_interruption_is_the_end_of_that_reply(self) -> None:
        """One `Interrupted`, no audio of the reply after it, and the next turn is answered."""
        self._need("long_prompt")

        async def main() -> None:
            async with self.agent() as agent:
                await agent.send(TextBlock(self.long_prompt or ""))
                await self._until(agent, lambda e: isinstance(e, AudioOutputDelta))
                await asyncio.gather(agent.interrupt(), agent.interrupt())
                await agent.interrupt()
                cut = await self._until(agent, lambda e: isinstance(e, Interrupted))
                response_id = cut[-1].response_id if isinstance(cut[-1], Interrupted) else ""
                await agent.send(TextBlock(self.prompt))
                after = await self._until(agent, lambda e: _speaks(e) and getattr(e, "response_id", "") != response_id)
                late = [e for e in after if isinstance(e, AudioOutputDelta) and e.response_id == response_id]
                assert not late, "audio of the interrupted reply came after the cut"
                twice = [e for e in after if isinstance(e, Interrupted) and e.response_id == response_id]
                assert not twice, "the same reply was reported as interrupted twice"

        self.run(main())

    def test_interrupting_when_nothing_plays_harms_nothing(self) -> None:
        """Before the first turn, and right after a reply's first sound; the next turn is answered."""

        async def main() -> None:
            async with self.agent() as agent:
                await agent.interrupt()
                await agent.interrupt(heard_ms=0)
                await agent.send(TextBlock(self.prompt))
                await self._until(agent, _speaks)

        self.run(main())

    def test_interrupting_at_every_speech_start_is_right(self) -> None:
        """A spoken turn is answered although the application interrupts at each `SpeechStarted`."""
        self._need("spoken")

        async def main() -> None:
            async with self.agent() as agent:

                async def talk() -> None:
                    pcm = self.spoken or b""
                    for start in range(0, len(pcm), 640):
                        await agent.send(AudioBlock(pcm[start : start + 640]))
                        await asyncio.sleep(0.02)

                async def answer() -> None:
                    async for event in agent.events():
                        if isinstance(event, SpeechStarted):
                            await agent.interrupt()
                        if isinstance(event, AudioOutputDelta):
                            return

                async with asyncio.timeout(self.patience):
                    await asyncio.gather(talk(), answer())

        self.run(main())

    def test_a_tool_is_called_answered_and_spoken_about(self) -> None:
        """The model calls, gets the result, and says something after."""
        self._need("tool_prompt")

        async def main() -> None:
            async with self.agent() as agent:
                await agent.send(TextBlock(self.tool_prompt or ""))
                seen = await self._until(agent, lambda e: isinstance(e, ToolResult))
                assert not getattr(seen[-1], "is_error", True), f"the call failed: {seen[-1]}"
                await self._until(agent, _speaks)

        self.run(main())

    def test_an_answer_to_no_call_does_not_end_the_session(self) -> None:
        """The backend may refuse it; the next turn works."""

        async def main() -> None:
            async with self.agent() as agent:
                with suppress(ProtocolError, ToolError):  # refusing it is fine
                    await agent.session.send_tool_result("no-such-call", "nothing", "nothing")
                await agent.send(TextBlock(self.prompt))
                await self._until(agent, _speaks)

        self.run(main())

    def test_leaving_the_events_early_does_not_stop_the_session(self) -> None:
        """A later loop over `events()` goes on where the first one left off."""

        async def main() -> None:
            async with self.agent() as agent:
                await agent.send(TextBlock(self.prompt))
                await self._until(agent, _speaks)
                await self._until(agent, _speaks)

        self.run(main())

    def test_two_sessions_do_not_mix(self) -> None:
        """One transport serves two agents at once."""

        async def main() -> None:
            transport = self.transport()
            async with self.agent(transport) as one, self.agent(transport) as two:
                await one.send(TextBlock(self.prompt))
                await two.send(TextBlock(self.prompt))
                await asyncio.gather(self._until(one, _speaks), self._until(two, _speaks))

        self.run(main())

    # -- helpers --------------------------------------------------------------------------------------

    def _need(self, attribute: str) -> None:
        if getattr(self, attribute) is None:
            import pytest

            pytest.skip(f"{type(self).__name__}.{attribute} is not set: this backend does not offer it")

    async def _in_time(self, closing: Awaitable[None]) -> None:
        async with asyncio.timeout(self.close_limit):
            await closing

    async def _until(self, agent: RealtimeAgent, wanted: Callable[[Event], bool]) -> list[Event]:
        seen: list[Event] = []
        try:
            async with asyncio.timeout(self.patience):
                async for event in agent.events():
                    seen.append(event)
                    if wanted(event):
                        return seen
        except TimeoutError:
            pass
        raise AssertionError(f"what was waited for did not come; seen: {[type(e).__name__ for e in seen]}")


def _speaks(event: Event) -> bool:
    return isinstance(event, AudioOutputDelta | TextDelta) or (
        isinstance(event, TranscriptDelta) and event.role == "assistant"
    )
