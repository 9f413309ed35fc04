from __future__ import annotations

import json

import pytest
from duologue import TextDelta, ToolCallAssembler, ToolInputDelta, ToolUseBlock, ToolUseEnd, ToolUseStart
from duologue.assembler import MAX_ARGUMENT_CHARS
from duologue.errors import InvalidArguments
from duologue.events import Event
from duologue.testing.strategies import fragmented_calls
from hypothesis import given
from hypothesis import strategies as st


def call(text: str, tool_use_id: str = "c1", *, name: str = "look") -> list[Event]:
    return [ToolUseStart(0, tool_use_id, name), ToolInputDelta(0, tool_use_id, text), ToolUseEnd(0, tool_use_id)]


def assemble(events: list[Event]) -> list[ToolUseBlock]:
    assembler = ToolCallAssembler()
    return [block for event in events for block in assembler.feed(event)]


@given(fragmented_calls())
def test_calls_come_out_as_they_were_written_in_the_order_they_end(
    case: tuple[list[ToolUseBlock], list[Event]],
) -> None:
    blocks, events = case
    ends = [event.tool_use_id for event in events if isinstance(event, ToolUseEnd)]
    assert assemble(events) == sorted(blocks, key=lambda block: ends.index(block.id))


@given(fragmented_calls())
def test_a_call_comes_out_with_its_last_fragment(case: tuple[list[ToolUseBlock], list[Event]]) -> None:
    _, events = case
    assembler = ToolCallAssembler()
    for event in events:
        assert len(assembler.feed(event)) == isinstance(event, ToolUseEnd)


@given(fragmented_calls(), st.integers(0, 30))
def test_half_written_calls_are_dropped_for_good(case: tuple[list[ToolUseBlock], list[Event]], at: int) -> None:
    """The rest of a dropped call, its end too, revives nothing; the other calls are whole."""
    blocks, events = case
    at = min(at, len(events))
    assembler = ToolCallAssembler()
    done = [block for event in events[:at] for block in assembler.feed(event)]
    assembler.clear()
    done += [block for event in events[at:] for block in assembler.feed(event)]
    begun = {e.tool_use_id for e in events[:at] if isinstance(e, ToolUseStart)}
    ended = {e.tool_use_id for e in events[:at] if isinstance(e, ToolUseEnd)}
    wanted = [block for block in blocks if block.id not in begun - ended]
    assert sorted(done, key=lambda b: b.id) == sorted(wanted, key=lambda b: b.id)


def test_fragments_of_an_unknown_call_are_ignored() -> None:
    assert assemble([ToolInputDelta(0, "ghost", "{}"), ToolUseEnd(0, "ghost"), TextDelta(0, "hi")]) == []


def test_a_call_that_ends_twice_comes_out_once() -> None:
    assert len(assemble([*call("{}"), ToolUseEnd(0, "c1")])) == 1


def test_a_call_that_begins_again_starts_anew() -> None:
    events = [ToolUseStart(0, "c1", "old"), ToolInputDelta(0, "c1", '{"x": 1'), *call('{"y": 2}', name="new")]
    assert assemble(events) == [ToolUseBlock("c1", "new", {"y": 2})]


def test_an_id_can_be_used_again_after_its_call() -> None:
    assert [b.input for b in assemble([*call('{"x": 1}'), *call('{"x": 2}')])] == [{"x": 1}, {"x": 2}]


def test_the_index_does_not_tell_calls_apart() -> None:
    """Providers that number nothing send 0 for all."""
    events: list[Event] = [
        ToolUseStart(0, "a", "f"),
        ToolUseStart(0, "b", "f"),
        ToolInputDelta(0, "a", '{"x":'),
        ToolInputDelta(0, "b", '{"x": 2}'),
        ToolInputDelta(0, "a", "1}"),
        ToolUseEnd(0, "b"),
        ToolUseEnd(0, "a"),
    ]
    assert [(b.id, b.input) for b in assemble(events)] == [("b", {"x": 2}), ("a", {"x": 1})]


@pytest.mark.parametrize("text", ["", "  \n", "null", "{}"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert assemble(call(text)) == [ToolUseBlock("c1", "look", {})]
    assert assemble([ToolUseStart(0, "c1", "look"), ToolUseEnd(0, "c1")]) == [ToolUseBlock("c1", "look", {})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": 1} x', "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        pytest.param('{"a": ' + "[" * 200_000, "not JSON", id="deep"),
        ("[1]", "a JSON list, not an object"),
        ('"a"', "a JSON str, not an object"),
        ("true", "a JSON bool, not an object"),
        ("1", "a JSON int, not an object"),
    ],
)
def test_arguments_that_are_no_object_end_the_call_and_name_it(text: str, message: str) -> None:
    assembler = ToolCallAssembler()
    start, delta, end = call(text)
    assembler.feed(start)
    assembler.feed(delta)
    with pytest.raises(InvalidArguments, match=message) as caught:
        assembler.feed(end)
    assert (caught.value.tool_use_id, caught.value.name) == ("c1", "look")
    assert assembler.feed(end) == [], "the call is over"


def test_arguments_may_be_a_million_characters_and_no_more() -> None:
    fits = json.dumps({"a": "x" * (MAX_ARGUMENT_CHARS - 9)})
    assert len(fits) == MAX_ARGUMENT_CHARS
    assert len(assemble(call(fits))) == 1
    with pytest.raises(InvalidArguments, match="longer than 1048576 characters") as caught:
        assemble(call(fits + " "))
    assert (caught.value.tool_use_id, caught.value.name) == ("c1", "look")


def test_what_is_too_long_is_not_kept() -> None:
    assembler = ToolCallAssembler()
    assembler.feed(ToolUseStart(0, "c1", "look"))
    for _ in range(100):
        assembler.feed(ToolInputDelta(0, "c1", "x" * 100_000))
    assert sum(len(piece) for piece in assembler._drafts["c1"].pieces) <= MAX_ARGUMENT_CHARS + 100_000
