"""Commands and messages as JSON and back."""

import contextlib
import json
from enum import Enum
from types import MappingProxyType

import pytest
from duologue import AudioBlock, ConfigurationError, ImageBlock, Message, TextBlock, Tool, TurnDetection
from duologue.testing.strategies import json_values
from duologue.types import CallRecord
from duologue.wire import (
    AnswerCall,
    ClearInput,
    CommitTurn,
    NotePlayback,
    SendContent,
    StopReply,
    Truncate,
    UpdateSession,
)
from duologue.wire.spelling import spell, unspell
from hypothesis import given
from hypothesis import strategies as st


class Shade(Enum):
    dark = "dark"


words = st.text(max_size=10)
objects = st.dictionaries(words | st.sampled_from(["kind", "base64", "entries"]), json_values, max_size=3)
blocks = st.one_of(
    st.builds(TextBlock, words),
    st.builds(AudioBlock, st.binary(max_size=8)),
    st.builds(ImageBlock, st.binary(max_size=8), st.just("image/png")),
)
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant"]),
    words,
    words,
    st.none() | st.floats(0, 1e6),
    st.booleans(),
    st.lists(st.builds(CallRecord, words, words, objects, st.none() | words, st.booleans()), max_size=2).map(tuple),
)
detections = st.builds(
    TurnDetection, st.sampled_from(["server", "semantic", "manual"]), st.none() | st.floats(0, 1), st.none()
)
commands = st.one_of(
    st.builds(SendContent, blocks),
    st.builds(AnswerCall, words, words, words | st.lists(blocks, max_size=2)),
    st.builds(Truncate, words, st.integers(0, 10_000)),
    st.builds(NotePlayback, st.booleans()),
    st.builds(UpdateSession, st.none() | words, st.none() | st.just(()), st.none() | detections),
    st.sampled_from([CommitTurn(), StopReply(), ClearInput()]),
)


@given(commands | messages)
def test_what_was_spelled_comes_back(value):
    assert unspell(json.loads(json.dumps(spell(value)))) == value


@given(st.recursive(json_values | st.binary(max_size=5), lambda inner: st.lists(inner) | objects, max_leaves=8))
def test_values_come_back_whatever_their_keys(value):
    assert unspell(json.loads(json.dumps(spell(value)))) == value


@given(st.recursive(json_values, lambda inner: st.dictionaries(st.sampled_from(["kind", "base64", "x"]), inner)))
def test_anything_else_is_read_or_refused(value):
    with contextlib.suppress(ConfigurationError):
        unspell(value)


def test_tools_come_back_without_their_handler():
    def weather(city: str) -> str:
        """Say what the weather is like."""
        return city

    tool = Tool("weather", weather, blocking=True)
    (back,) = unspell(json.loads(json.dumps(spell(UpdateSession(tools=(tool,)))))).tools
    assert (back.name, back.description, back.blocking) == (tool.name, tool.description, True)
    assert back.input_schema == tool.input_schema
    assert back.handler is None


def test_values_that_json_does_not_know_are_written_as_their_likes():
    assert spell({1: (Shade.dark, {3})}) == {"1": ["dark", [3]]}
    assert spell(MappingProxyType({"a": b"b"})) == {"a": {"base64": "Yg=="}}


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "Later"},
        {"kind": ["list"]},
        {"kind": "TextBlock"},
        {"kind": "TextBlock", "text": "a", "later": 1},
        {"kind": "Tool", "name": "a"},
        {"base64": "!"},
        {"base64": "é"},
        {"base64": 1},
        [{"kind": "Mapping"}],
    ],
)
def test_what_a_later_version_wrote_is_refused(bad):
    with pytest.raises(ConfigurationError, match="capture"):
        unspell(bad)
