"""The transport contract, on the scripted transport; and that it can fail."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from duologue import RealtimeTransport, Tool, ToolInputDelta, ToolUseEnd, ToolUseStart
from duologue.testing import CallAnswered, Committed, Expect, ScriptedTransport, TransportContract, speech


async def lookup(word: str) -> str:
    """Look a word up."""
    return word


class TestScripted(TransportContract):
    """The scripted transport keeps the contract that it helps to test."""

    long_prompt = "Tell me a long story."
    tools: ClassVar[list[Tool]] = [Tool("lookup", lookup)]
    tool_prompt = "Look it up."

    def transport(self) -> RealtimeTransport:
        call = [ToolUseStart(0, "c", "lookup"), ToolInputDelta(0, "c", '{"word": "x"}'), ToolUseEnd(0, "c")]
        return ScriptedTransport(
            lambda: [
                Expect(Committed),
                *speech("A story.", ms=3000, response_id="r1"),
                *call,
                Expect(CallAnswered, lambda a: a.tool_use_id == "c"),
                *speech("I looked it up.", ms=500, response_id="r2"),
                Expect(Committed, within=60),
                *speech("Next.", ms=500, response_id="r3"),
            ]
        )


class TestMute(TransportContract):
    """A backend that never answers does not keep the contract."""

    patience = 0.2

    def transport(self) -> RealtimeTransport:
        return ScriptedTransport()

    def test_typed_text_gets_a_reply_with_ids(self) -> None:
        with pytest.raises(AssertionError, match="did not come"):
            super().test_typed_text_gets_a_reply_with_ids()

    test_interrupting_when_nothing_plays_harms_nothing: Any = None
    test_an_answer_to_no_call_does_not_end_the_session: Any = None
    test_leaving_the_events_early_does_not_stop_the_session: Any = None
    test_two_sessions_do_not_mix: Any = None
