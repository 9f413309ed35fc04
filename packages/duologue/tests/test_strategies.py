from __future__ import annotations

import json

from duologue import ToolInputDelta, ToolUseBlock, ToolUseEnd, ToolUseStart
from duologue.events import Event
from duologue.testing.strategies import fragmented_calls, fragments, json_values, tool_calls
from hypothesis import find, given
from hypothesis import strategies as st


@given(json_values)
def test_json_values_survive_json(value: object) -> None:
    assert json.loads(json.dumps(value)) == value


@given(tool_calls)
def test_calls_have_distinct_ids(blocks: list[ToolUseBlock]) -> None:
    assert len({block.id for block in blocks}) == len(blocks)


@given(st.lists(st.integers(0, 500), max_size=5))
def test_the_pieces_of_a_call_add_up_wherever_it_is_cut(cuts: list[int]) -> None:
    first, *deltas, last = fragments(ToolUseBlock("c", "n", {"a": "é", "b": [1]}), 3, cuts)
    assert (first, last) == (ToolUseStart(3, "c", "n"), ToolUseEnd(3, "c"))
    pieces = [e.partial_json for e in deltas if isinstance(e, ToolInputDelta) and (e.index, e.tool_use_id) == (3, "c")]
    assert len(pieces) == len(deltas)
    assert json.loads("".join(pieces)) == {"a": "é", "b": [1]}


@given(fragmented_calls())
def test_every_call_keeps_its_own_order(case: tuple[list[ToolUseBlock], list[Event]]) -> None:
    blocks, events = case
    for block in blocks:
        own = [e for e in events if getattr(e, "tool_use_id", "") == block.id]
        assert isinstance(own[0], ToolUseStart)
        assert isinstance(own[-1], ToolUseEnd)
        assert all(isinstance(e, ToolInputDelta) for e in own[1:-1])
    assert len(events) == sum(1 for e in events if getattr(e, "tool_use_id", "") in {b.id for b in blocks})


def test_calls_do_interleave() -> None:
    def interleaved(case: tuple[list[ToolUseBlock], list[Event]]) -> bool:
        ids = [getattr(e, "tool_use_id", "") for e in case[1]]
        return len({*ids}) == 2 and ids != sorted(ids) and ids != sorted(ids, reverse=True)

    assert find(fragmented_calls(), interleaved)
