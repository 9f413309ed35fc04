"""What goes over the wire is read as it was written, in both directions."""

import json
from typing import get_args

import msgspec
import pytest
from duologue_distiller import client_messages as c
from duologue_distiller import server_messages as m
from hypothesis import given
from hypothesis import strategies as st

text = st.none() | st.text()
data = st.none() | st.binary(max_size=400)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9), lambda x: st.lists(x, max_size=3)
)
things = st.dictionaries(st.text(max_size=6), anything, max_size=4)

server = st.one_of(
    st.builds(m.SessionCreated, st.none() | st.builds(m.ServerAbilities, st.none() | st.booleans())),
    st.builds(m.UserTranscript, text, text),
    st.builds(m.UserTranscriptDone, text, text),
    st.builds(m.ResponseCreated),
    st.builds(m.ResponseText, text, text, text),
    st.builds(m.ResponseTextDone, text),
    st.builds(m.ResponseAudio, data, data),
    st.builds(m.ResponseAudioDone),
    st.builds(m.ResponseInterrupted),
    st.builds(m.ResponseDone),
    st.builds(m.Ping),
    st.builds(m.Failed, anything, anything | things, anything),
)
client = st.one_of(
    st.builds(c.InputText, text),
    st.builds(c.AppendAudio, data),
    *(st.builds(k) for k in (c.CommitAudio, c.ClearAudio, c.UpdateRecording, c.CancelResponse)),
    *(st.builds(k) for k in (c.PlaybackStarted, c.PlaybackStopped, c.Pong)),
)
untyped = st.one_of(
    st.builds(m.AgentCall, text, text, text, st.none() | things),
    st.builds(
        c.ExecutorResult,
        text,
        st.text(),
        text,
        text,
        st.none() | st.builds(c.RequestArguments, text, anything, text, st.none() | things),
        text,
        text,
    ),
)


def again(message, kind):
    return msgspec.json.decode(msgspec.json.encode(message), type=kind)


@given(server)
def test_a_message_of_the_server_is_read_as_it_was_written(message):
    assert again(message, m.AnyServerMessage) == message


@given(client)
def test_a_message_of_the_client_is_read_as_it_was_written(message):
    assert again(message, c.AnyClientMessage) == message


@given(untyped)
def test_a_message_without_a_type_is_read_as_it_was_written(message):
    assert again(message, type(message)) == message


@given(server | client)
def test_nulls_are_not_written(message):
    assert None not in json.loads(msgspec.json.encode(message)).values()


@pytest.mark.parametrize("kind", [*get_args(m.AnyServerMessage), *get_args(c.AnyClientMessage)])
def test_unknown_fields_are_passed_over(kind):
    tag = kind.__struct_config__.tag
    union = m.AnyServerMessage if issubclass(kind, m.ServerMessage) else c.AnyClientMessage
    assert msgspec.json.decode(json.dumps({"new": {"a": [1]}, "type": tag, "role_": None}), type=union) == kind()


@pytest.mark.parametrize("kind", [*get_args(m.AnyServerMessage), *get_args(c.AnyClientMessage), m.AgentCall])
def test_every_field_may_be_null(kind):
    if kind is m.AgentCall:
        union, message = kind, {}
    else:
        union = m.AnyServerMessage if issubclass(kind, m.ServerMessage) else c.AnyClientMessage
        message = {"type": kind.__struct_config__.tag}
    message |= dict.fromkeys(kind.__struct_fields__)
    assert msgspec.json.decode(json.dumps(message), type=union) == kind()
