from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any, get_args, get_type_hints

import pytest
from duologue import (
    AgentChanged,
    AudioOutputDelta,
    ConnectionLost,
    Error,
    Event,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    Reconnected,
    Reconnecting,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    StreamEvent,
    TextBlock,
    TextDelta,
    ToolCancelled,
    ToolInputDelta,
    ToolProgress,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    Usage,
    WordTime,
)

BOOM = ConnectionLost("gone")

# every event by position, in the order of the public interface, and the same by keyword
PAIRS: list[tuple[Any, Any]] = [
    (SessionStarted("s1", "m"), SessionStarted(session_id="s1", model="m")),
    (
        AudioOutputDelta(b"\x01\x00", "audio/pcm;rate=8000", "r", "i"),
        AudioOutputDelta(data=b"\x01\x00", media_type="audio/pcm;rate=8000", response_id="r", item_id="i"),
    ),
    (TextDelta(0, "a", "r", "i"), TextDelta(index=0, delta="a", response_id="r", item_id="i")),
    (
        TranscriptDelta("user", "a", True, "i", 1.5, (WordTime("a", 10.0),)),
        TranscriptDelta(
            role="user", delta="a", final=True, item_id="i", started_at=1.5, words=(WordTime(text="a", end_ms=10.0),)
        ),
    ),
    (SpeechStarted("i", 1.0), SpeechStarted(item_id="i", at=1.0)),
    (SpeechStopped("i", 1.0), SpeechStopped(item_id="i", at=1.0)),
    (Interrupted("r", 120), Interrupted(response_id="r", heard_ms=120)),
    (ToolUseStart(0, "c", "n"), ToolUseStart(index=0, tool_use_id="c", name="n")),
    (ToolInputDelta(0, "c", "{}"), ToolInputDelta(index=0, tool_use_id="c", partial_json="{}")),
    (ToolUseEnd(0, "c"), ToolUseEnd(index=0, tool_use_id="c")),
    (ToolStarted("c", "n", {"a": 1}), ToolStarted(tool_use_id="c", name="n", input={"a": 1})),
    (ToolProgress("c", "n", "half"), ToolProgress(tool_use_id="c", name="n", content="half")),
    (
        ToolResult("c", "n", False, [TextBlock("x")], 0.5),
        ToolResult(tool_use_id="c", name="n", is_error=False, content=[TextBlock("x")], elapsed=0.5),
    ),
    (ToolCancelled("c", "n", "why"), ToolCancelled(tool_use_id="c", name="n", reason="why")),
    (
        TurnComplete(StopReason.end_turn, Usage(1, 2, {"a": 3}), "r"),
        TurnComplete(
            stop_reason=StopReason.end_turn,
            usage=Usage(input_tokens=1, output_tokens=2, details={"a": 3}),
            response_id="r",
        ),
    ),
    (AgentChanged("chef"), AgentChanged(role="chef")),
    (Reconnecting(2, "lost"), Reconnecting(attempt=2, reason="lost")),
    (Reconnected(True, 0.2), Reconnected(resumed=True, gap=0.2)),
    (GoingAway(9.0), GoingAway(seconds_left=9.0)),
    (Problem(BOOM), Problem(exception=BOOM)),
    (Error(BOOM), Error(exception=BOOM)),
    (ProviderEvent("p", "k", {"a": [1]}), ProviderEvent(provider="p", kind="k", data={"a": [1]})),
]
EVENTS = [pair[0] for pair in PAIRS]
WITHOUT_MEANING = {"session_id", "response_id", "item_id", "started_at", "at", "elapsed", "words"}


def test_the_union_is_complete() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    assert StreamEvent == Event


@pytest.mark.parametrize(("by_position", "by_keyword"), PAIRS)
def test_positions_and_keywords_mean_the_same(by_position: Any, by_keyword: Any) -> None:
    for field in dataclasses.fields(by_position):
        assert getattr(by_position, field.name) == getattr(by_keyword, field.name)


@pytest.mark.parametrize("event", EVENTS)
def test_events_are_frozen_slotted_hashable_and_copy(event: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(event)[0].name, "other")
    assert not hasattr(event, "__dict__")
    assert hash(event) == hash(copy.copy(event))
    assert repr(pickle.loads(pickle.dumps(event))) == repr(event)


@pytest.mark.parametrize("event", EVENTS)
def test_ids_and_times_say_nothing_and_the_rest_does(event: Any) -> None:
    for field in dataclasses.fields(event):
        other = dataclasses.replace(event, **{field.name: ("another value",)})
        if field.name in WITHOUT_MEANING:
            assert other == event
            assert hash(other) == hash(event)
        else:
            assert other != event


def test_the_call_id_is_what_a_tool_event_says() -> None:
    assert ToolProgress("c1", "n", "half") != ToolProgress("c2", "n", "half")


def test_events_below_the_agent_need_no_ids_and_times() -> None:
    assert (SpeechStarted().item_id, SpeechStarted().at) == ("", None)
    assert (SpeechStopped().item_id, SpeechStopped().at) == ("", None)
    assert (Interrupted().response_id, Interrupted().heard_ms) == ("", None)
    assert AudioOutputDelta(b"").media_type == "audio/pcm;rate=24000"
    assert (SessionStarted().session_id, SessionStarted().model) == ("", "")
    said = TranscriptDelta("assistant", "a")
    assert (said.final, said.item_id, said.started_at, said.words) == (False, "", None, ())
    result = ToolResult("c", "n", True)
    assert (result.content, result.elapsed) == ("", 0.0)
    assert (TurnComplete(StopReason.error).usage, TurnComplete(StopReason.error).response_id) == (None, "")
    assert (Usage().input_tokens, Usage().output_tokens, Usage().details) == (0, 0, {})


@pytest.mark.parametrize("kind", get_args(Event))
def test_the_annotations_of_events_can_be_evaluated(kind: type) -> None:
    assert set(get_type_hints(kind)) == {field.name for field in dataclasses.fields(kind)}


def test_events_match_by_position_and_name() -> None:
    match TranscriptDelta("assistant", "hello"):
        case TranscriptDelta(role="assistant", delta=text):
            assert text == "hello"
        case _:
            raise AssertionError
    match Interrupted("r", 40):
        case Interrupted(response_id, heard):
            assert (response_id, heard) == ("r", 40)
