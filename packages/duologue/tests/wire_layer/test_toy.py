"""The toy protocol: what one half says, the other understands; and no frame makes either raise."""

from __future__ import annotations

import json

import msgspec
import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    GoingAway,
    ImageBlock,
    Interrupted,
    Message,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextBlock,
    Tool,
    ToolCancelled,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
    UnsupportedFormat,
    Usage,
)
from duologue.errors import ConnectFailed, ProtocolError, RemoteProtocolError
from duologue.events import AgentChanged, Error
from duologue.testing.strategies import json_values
from duologue.testing.toy import ToyCodec, ToyServerCodec
from duologue.testing.toy import messages as m
from duologue.types import CallRecord
from duologue.wire import (
    AnswerCall,
    ClearInput,
    CommitTurn,
    NotePlayback,
    Opening,
    SendContent,
    StopReply,
    Truncate,
    UpdateSession,
)
from hypothesis import given
from hypothesis import strategies as st

words = st.text(max_size=8)
numbers = st.integers(0, 1000)
objects = st.dictionaries(words, json_values, max_size=3)
data = st.binary(max_size=12)


def said(kinds):
    return st.one_of([st.from_type(kind) for kind in kinds.__args__])


st.register_type_strategy(m.Offer, st.builds(m.Offer, words, words, objects))
st.register_type_strategy(m.Update, st.builds(m.Update, st.none() | words, st.none() | st.lists(st.from_type(m.Offer))))
st.register_type_strategy(m.Leaving, st.builds(m.Leaving, st.floats(0, 1e6)))
st.register_type_strategy(
    m.Hello,
    st.builds(
        m.Hello, words, st.lists(st.from_type(m.Offer), max_size=2), words, st.just([m.Said("user", "a")]), words
    ),
)


@pytest.mark.parametrize("kinds", [m.ClientMessage, m.ServerMessage], ids=["client", "server"])
def test_messages_come_back(kinds):
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(kinds).decode

    @given(said(kinds))
    def check(message):
        assert decode(encode(message)) == message
        assert json.loads(encode(message))["type"] == type(message).__name__.lower()

    check()


COMMANDS = st.one_of(
    st.builds(SendContent, st.builds(TextBlock, words)),
    st.builds(SendContent, st.builds(AudioBlock, data, st.just("audio/pcm;rate=16000"))),
    st.builds(SendContent, st.builds(ImageBlock, data, st.sampled_from(["image/jpeg", "image/png"]))),
    st.builds(AnswerCall, words, words, words),
    st.builds(Truncate, words, numbers),
    st.builds(NotePlayback, st.booleans()),
    st.builds(UpdateSession, st.none() | words),
    st.sampled_from([CommitTurn(), StopReply(), ClearInput()]),
)


@given(COMMANDS)
def test_commands_arrive_as_they_were_given(command):
    server = ToyServerCodec()
    (frame,) = ToyCodec(Opening()).encode(command)
    assert isinstance(frame, str)
    assert server.decode(frame) == [command]
    assert server.outgoing == []


def see(*events):
    codec, server = ToyCodec(Opening()), ToyServerCodec()
    return [found for event in events for frame in server.encode(event) for found in codec.decode(frame)]


EVENTS = st.one_of(
    st.builds(AudioOutputDelta, data),
    st.builds(TranscriptDelta, st.sampled_from(["user", "assistant"]), words, st.booleans()),
    st.builds(SpeechStarted),
    st.builds(SpeechStopped),
    st.builds(ToolUseStart, numbers, words, words),
    st.builds(ToolInputDelta, numbers, words, st.text(min_size=1, max_size=8)),
    st.builds(ToolUseEnd, numbers, words),
    st.builds(ToolCancelled, words, words, words),
    st.builds(Interrupted),
    st.builds(TurnComplete, st.sampled_from(StopReason), st.builds(Usage, numbers, numbers)),
    st.builds(SessionStarted, model=words),
    st.builds(GoingAway, st.floats(0, 1e6)),
)


@given(EVENTS)
def test_events_arrive_as_they_were_told(event):
    assert see(event) == [event]


@given(words, words)
def test_ids_arrive_too(response, item):
    (audio,) = see(AudioOutputDelta(b"ab", response_id=response, item_id=item))
    (text,) = see(TranscriptDelta("user", "a", item_id=item, response_id=response))
    (done,) = see(TurnComplete(StopReason.end_turn, response_id=response))
    (cut,) = see(Interrupted(response))
    (voice,) = see(SpeechStarted(item))
    (started,) = see(SessionStarted(item))
    assert (audio.response_id, audio.item_id, text.item_id, text.response_id) == (response, item, item, response)
    assert (done.response_id, cut.response_id, voice.item_id, started.session_id) == (response, response, item, item)
    assert done.usage == Usage()


def test_a_whole_call_may_come_in_one_message():
    frame = '{"type": "call", "call": "c", "name": "t", "arguments": "{}", "index": 2}'
    assert ToyCodec(Opening()).decode(frame) == [
        ToolUseStart(2, "c", "t"),
        ToolInputDelta(2, "c", "{}"),
        ToolUseEnd(2, "c"),
    ]


def test_refusals_and_failures_arrive_as_errors():
    (refused,) = see(Error(ConnectFailed("no such model", retryable=False, code="model")))
    assert isinstance(refused, Error)
    assert isinstance(refused.exception, ConnectFailed)
    assert (refused.exception.code, refused.exception.retryable) == ("model", False)
    assert "no such model" in str(refused.exception)
    (again,) = see(Error(ConnectFailed("busy")))
    assert again.exception.retryable
    (failed,) = see(Problem(ProtocolError("not now")))
    assert isinstance(failed, Problem)
    assert str(failed.exception) == "not now"


def test_a_reason_that_nobody_knows_is_an_error():
    (done,) = ToyCodec(Opening()).decode('{"type": "done", "reason": "tired"}')
    assert done.stop_reason is StopReason.error


def test_what_the_protocol_has_no_words_for_is_left_out():
    assert see(AgentChanged("clerk")) == []


def test_a_handle_is_kept_until_it_is_taken_back():
    codec, server = ToyCodec(Opening()), ToyServerCodec()
    for handle in ("one", "two", ""):
        (frame,) = server.offer(handle)
        assert codec.decode(frame) == []
        assert codec.handle == handle


def test_a_ping_is_answered():
    codec, server = ToyCodec(Opening()), ToyServerCodec()
    assert codec.decode('{"type": "ping"}') == []
    (answer,) = codec.outgoing
    assert server.decode(answer) == []


def test_the_opening_tells_everything():
    tool = Tool("weather", None, "Say the weather", {"type": "object", "properties": {}})
    call = CallRecord("c", "clock", {"zone": "utc"}, "noon")
    history = [Message("user", "hello"), Message("assistant", "hi"), Message("assistant", "", calls=(call,))]
    detection = TurnDetection("manual", interrupt=False, create_response=False)
    opening = Opening("handle", history)
    codec = ToyCodec(opening, system="Be brief.", tools=[tool], voice="low", turn_detection=detection)
    (frame,) = codec.opening()
    (setup,) = ToyServerCodec().decode(frame)
    assert (setup.system, setup.voice, setup.resume, setup.turn_detection) == ("Be brief.", "low", "handle", detection)
    assert list(setup.history[:2]) == history[:2]
    assert setup.history[2] == Message("assistant", '[called clock({"zone": "utc"}): noon]')
    (offered,) = setup.tools
    assert (offered.name, offered.description, offered.input_schema) == (tool.name, tool.description, tool.input_schema)
    assert codec.closing() == []
    assert codec.explain_close(1011, "") is None
    assert ToyServerCodec().greet() == []


def test_an_update_tells_the_tools():
    (frame,) = ToyCodec(Opening()).encode(UpdateSession(tools=(Tool("a", None),)))
    (update,) = ToyServerCodec().decode(frame)
    assert [tool.name for tool in update.tools] == ["a"]


def test_the_pictures_of_a_result_are_named():
    (frame,) = ToyCodec(Opening()).encode(AnswerCall("c", "t", [TextBlock("a cat"), ImageBlock(b"")]))
    assert ToyServerCodec().decode(frame) == [AnswerCall("c", "t", "a cat [image/jpeg]")]


def test_only_pcm_is_taken():
    with pytest.raises(UnsupportedFormat, match="audio/opus"):
        ToyCodec(Opening()).encode(SendContent(AudioBlock(b"", "audio/opus")))


# -- nonsense ------------------------------------------------------------------------------------------

SERVER_FRAMES = EVENTS.map(lambda event: ToyServerCodec().encode(event)[0])
CLIENT_FRAMES = COMMANDS.map(lambda command: ToyCodec(Opening()).encode(command)[0])


@st.composite
def mutations(draw, frames):
    """A frame with something in it changed."""
    value = json.loads(draw(frames))
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(list(value) or ["type"]))
        match draw(st.integers(0, 2)):
            case 0:
                value.pop(key, None)
            case 1:
                value[key] = draw(json_values)
            case _:
                value[draw(words)] = draw(json_values)
    text = json.dumps(value)
    cut = draw(st.integers(0, len(text)))
    return draw(st.sampled_from([text, text[:cut], text + text, text.encode(), text[:cut].encode("utf-16")]))


NONSENSE = st.one_of(words, data, json_values.map(json.dumps), st.sampled_from(["[" * 100_000, '{"a":' * 100_000, ""]))


@given(mutations(SERVER_FRAMES) | NONSENSE)
def test_no_frame_makes_the_client_raise_and_the_session_goes_on(frame):
    codec = ToyCodec(Opening())
    for event in codec.decode(frame):
        if isinstance(event, Problem):
            assert isinstance(event.exception, ProtocolError)
    assert codec.decode('{"type": "cut"}') == [Interrupted()]


@given(mutations(CLIENT_FRAMES) | NONSENSE)
def test_no_frame_makes_the_server_raise(frame):
    server = ToyServerCodec()
    server.decode(frame)
    for answer in server.outgoing:
        assert isinstance(ToyCodec(Opening()).decode(answer)[0], Problem)
    assert server.decode('{"type": "commit"}') == [CommitTurn()]


def test_what_is_not_modelled_survives_verbatim():
    frame = '{"type": "weather", "deep": [1, {"a": null}]}'
    (event,) = ToyCodec(Opening()).decode(frame)
    assert event == ProviderEvent("toy", "weather", json.loads(frame))


@pytest.mark.parametrize(
    "frame", ['{"type": "audio", "delta": "!"}', '{"type": "done", "reason": 1}', "{", b"\xff", "3"]
)
def test_what_makes_no_sense_is_a_problem_of_the_peer(frame):
    (event,) = ToyCodec(Opening()).decode(frame)
    assert isinstance(event, Problem)
    assert isinstance(event.exception, RemoteProtocolError)
    assert event.exception.provider == "toy"
