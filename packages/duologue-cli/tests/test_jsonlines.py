import json
import typing

import pytest
from duologue import events
from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.errors import DuologueError
from duologue.events import AudioOutputDelta, Problem, ProviderEvent, ToolResult, TranscriptDelta, TurnComplete
from duologue.types import StopReason, Usage, WordTime
from duologue_cli.jsonlines import event_object, json_line
from hypothesis import given
from hypothesis import strategies as st

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)
broken = st.builds(DuologueError, st.text())
special = {
    events.ProviderEvent: {"data": anything},
    events.ToolStarted: {"input": st.dictionaries(st.text(), anything, max_size=3)},
    events.Problem: {"exception": broken},
    events.Error: {"exception": broken},
    events.TurnComplete: {"usage": st.none() | st.builds(Usage, st.integers(), st.integers(), st.just({}))},
}
every_event = st.one_of(*(st.builds(kind, **special.get(kind, {})) for kind in typing.get_args(events.Event)))


@given(every_event, st.floats(0, 1e6))
def test_every_event_is_one_line_of_json_that_says_when_and_what(event, t):
    line = json_line(event_object(event, t))
    assert "\n" not in line
    read = json.loads(line, parse_constant=pytest.fail)
    assert read["event"] == type(event).__name__
    assert read["t"] == pytest.approx(t, abs=0.001)
    line.encode()


@given(anything)
def test_whatever_a_provider_sends_can_be_written(data):
    json.loads(json_line(event_object(ProviderEvent("p", "k", data), 0.0)), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("media_type", "length"),
    [("audio/pcm;rate=24000", 100), ("audio/pcm; rate=16000", 150), ("audio/pcm", 100), ("audio/pcmu", 600)],
)
def test_audio_is_its_length(media_type, length):
    described = event_object(AudioOutputDelta(bytes(4800), media_type, "r1", "i1"), 1.23456)
    assert described == {
        "t": 1.235,
        "event": "AudioOutputDelta",
        "audio_ms": length,
        "media_type": media_type,
        "response_id": "r1",
        "item_id": "i1",
    }


def test_fields_are_plain_values():
    words = (WordTime("Hi", 250.0),)
    described = event_object(TranscriptDelta("assistant", "Hi", True, "i1", 0.5, words), 0)
    assert described["words"] == [{"type": "WordTime", "text": "Hi", "end_ms": 250.0}]
    assert described["final"] is True
    complete = event_object(TurnComplete(StopReason.end_turn, Usage(1, 2, {"cached": 3}), "r"), 0)
    assert complete["stop_reason"] == "end_turn"
    assert complete["usage"] == {"type": "Usage", "input_tokens": 1, "output_tokens": 2, "details": {"cached": 3}}
    problem = event_object(Problem(DuologueError("late", code="unanswered")), 0)
    assert problem["exception"] == {"type": "DuologueError", "message": "late", "code": "unanswered"}
    result = event_object(ToolResult("1", "t", False, [TextBlock("a"), AudioBlock(bytes(48)), ImageBlock(b"abc")]), 0)
    assert result["content"] == [
        {"type": "TextBlock", "text": "a"},
        {"type": "AudioBlock", "audio_ms": 1.0, "media_type": "audio/pcm"},
        {"type": "ImageBlock", "data": {"bytes": 3}, "media_type": "image/jpeg"},
    ]
