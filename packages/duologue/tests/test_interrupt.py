"""`interrupt()` at every point of a turn, on every kind of provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from duologue import (
    AudioOutputDelta,
    Capabilities,
    Interrupted,
    RealtimeAgent,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    Tool,
    ToolCancelled,
    ToolInputDelta,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import CallAnswered, End, ScriptedTransport, Truncated, Wait, speech, virtual_time


def turn(response_id: str) -> list[Any]:
    """A spoken turn with everything in it: 16 events."""
    return [
        SpeechStarted(),
        SpeechStopped(),
        TranscriptDelta("user", "Tell me.", True),
        *speech(
            "Let me see.", ms=300, response_id=response_id, item_id=response_id and "i" + response_id, complete=False
        ),
        ToolUseStart(0, "c1", "work"),
        ToolInputDelta(0, "c1", "{"),
        ToolInputDelta(0, "c1", "}"),
        ToolUseEnd(0, "c1"),
        Wait(1),
        *speech("Here it is.", ms=300, response_id=response_id, item_id=response_id and "i" + response_id),
    ]


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("heard", [None, 150])
@pytest.mark.parametrize("response_id", ["r1", ""])
@pytest.mark.parametrize("point", range(20))
def test_at_every_point_of_a_turn(point: int, response_id: str, heard: int | None, times: int) -> None:
    """One `Interrupted` at most, no audio after it, one answer to the call at most, the next turn untouched."""

    @virtual_time
    async def main() -> None:
        async def work() -> str:
            await asyncio.sleep(0.5)
            return "worked"

        following = "r2" if response_id else ""
        script = [*turn(response_id), Wait(30), *speech("Next.", ms=200, response_id=following), End()]
        transport = ScriptedTransport(script, capabilities=Capabilities(truncation=True))
        seen: list[Any] = []
        async with RealtimeAgent("", transport, [Tool("work", work)]) as agent:
            async for event in agent.events():
                seen.append(event)
                if len(seen) == point + 1:
                    for _ in range(times):
                        await agent.interrupt(heard_ms=heard)
        answers = [r for r in transport.sent if isinstance(r, CallAnswered)]
        cuts = [e for e in seen if isinstance(e, Interrupted)]
        assert len(answers) <= 1
        assert len(cuts) <= 1
        assert len([r for r in transport.sent if isinstance(r, Truncated)]) <= 1
        if cuts:
            after = seen[seen.index(cuts[0]) + 1 :]
            cut_id = cuts[0].response_id
            assert not [e for e in after if isinstance(e, AudioOutputDelta) and e.response_id == cut_id]
            assert any(isinstance(e, AudioOutputDelta) for e in after), "the next turn is heard"
            assert cuts[0].heard_ms is not None
        if any(isinstance(e, ToolStarted) for e in seen):
            assert len(answers) == 1
            assert len([e for e in seen if isinstance(e, ToolResult | ToolCancelled)]) == 1
        assert agent.history[-1].text == "Next."

    main()


@virtual_time
async def test_the_order_of_a_cut_by_the_provider() -> None:
    script = [
        *speech("A long story.", ms=2000, complete=False),
        Wait(1),
        SpeechStarted(),
        Interrupted(),
        TurnComplete(StopReason.interrupted),
        End(),
    ]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        seen = [e async for e in agent.events()]
    assert [type(e) for e in seen[-3:]] == [SpeechStarted, Interrupted, TurnComplete]
    assert seen[-2].heard_ms is None
    assert seen[-2].response_id == seen[1].response_id


@virtual_time
async def test_undelivered_audio_does_not_hold_up_the_news_of_a_cut() -> None:
    script = [*speech("A long story.", ms=60_000, complete=False), SpeechStarted(), Interrupted(), End()]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        await asyncio.sleep(1)
        seen = [e async for e in agent.events()]
    assert not [e for e in seen if isinstance(e, AudioOutputDelta)]
    assert isinstance(seen[-1], Interrupted)


@virtual_time
async def test_interrupting_on_every_speech_start_keeps_what_was_heard() -> None:
    """The pattern of the guide: stop the player and interrupt, whenever the user begins to speak."""
    script = [
        *speech("One two three four five.", ms=2400, response_id="r1"),
        Wait(1.2),
        SpeechStarted(),
        SpeechStopped(),
        TranscriptDelta("user", "Stop.", True),
        *speech("Yes.", ms=400, response_id="r2"),
        Wait(5),
        SpeechStarted(),
        End(),
    ]
    transport = ScriptedTransport(script)
    async with RealtimeAgent("", transport) as agent:
        async for event in agent.events():
            if isinstance(event, SpeechStarted):
                await agent.interrupt()
    assert [m.text for m in agent.history] == ["One two", "Stop.", "Yes."]
    assert transport.sent == [], "both replies were finished: nothing to tell the provider"
