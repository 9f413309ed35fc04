"""Hypothesis strategies for session events; import needs Hypothesis installed."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from duologue.blocks import ToolUseBlock
from duologue.events import Event, ToolInputDelta, ToolUseEnd, ToolUseStart

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
"""JSON values of moderate size."""

tool_calls: st.SearchStrategy[list[ToolUseBlock]] = st.lists(
    st.builds(
        ToolUseBlock,
        st.uuids().map(str),
        st.sampled_from(["alpha", "beta", "gamma"]),
        st.dictionaries(st.text(max_size=6), json_values, max_size=4),
    ),
    max_size=4,
    unique_by=lambda block: block.id,
)
"""Calls with distinct ids."""


def fragments(block: ToolUseBlock, index: int, cuts: list[int]) -> list[Event]:
    """The events of one call, its JSON text cut at these places."""
    text = json.dumps(block.input)
    places = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    pieces = [text[a:b] for a, b in pairwise(places)]
    return [
        ToolUseStart(index, block.id, block.name),
        *(ToolInputDelta(index, block.id, piece) for piece in pieces),
        ToolUseEnd(index, block.id),
    ]


@st.composite
def fragmented_calls(draw: st.DrawFn) -> tuple[list[ToolUseBlock], list[Event]]:
    """Calls, and their fragments in any interleaving that keeps each call's own order."""
    blocks = draw(tool_calls)
    queues = [
        fragments(block, index, draw(st.lists(st.integers(0, 200), max_size=4))) for index, block in enumerate(blocks)
    ]
    events: list[Event] = []
    while any(queues):
        ready = [queue for queue in queues if queue]
        events.append(ready[draw(st.integers(0, len(ready) - 1))].pop(0))
    return blocks, events
