"""The server's codec: what the official client sends, and what it can bear."""

import json

import pytest
from duologue import AudioBlock, TextBlock
from duologue.errors import ConnectionLost, ProtocolError
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Error,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    TextDelta,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import Message, StopReason
from duologue.wire import (
    AddMessage,
    AnswerCall,
    ClearInput,
    CommitTurn,
    NotePlayback,
    ProviderCommand,
    SendContent,
    StopReply,
)
from duologue_distiller import DistillerServerCodec, Place
from duologue_distiller.told import tell
from hypothesis import given, settings
from hypothesis import strategies as st

RESULT = {
    "account": "org",
    "request_type": "executor",
    "project": "p",
    "uuid": "u",
    "request_args": {"query": "", "image": None, "content": "sunny", "memory_updates": None},
    "role": "Weather",
    "request_id": "r1",
}
ENDS = ["response.audio.done", "response.text.done", "response.done"]


def read(*messages, codec=None):
    codec = codec or DistillerServerCodec()
    return [c for m in messages for c in codec.decode(m if isinstance(m, str | bytes) else json.dumps(m))]


def written(*events, codec=None):
    codec = codec or DistillerServerCodec()
    return [json.loads(frame) for event in events for frame in codec.encode(event)]


@pytest.mark.parametrize(
    ("message", "commands"),
    [
        ({"type": "input_text", "text": "Hi"}, [SendContent(TextBlock("Hi")), CommitTurn()]),
        ({"type": "input_text", "text": None}, []),
        (
            {"type": "input_audio_buffer.append", "audio": "AQI="},
            [SendContent(AudioBlock(b"\1\2", "audio/pcm;rate=16000"))],
        ),
        ({"type": "input_audio_buffer.append", "audio": ""}, []),
        ({"type": "input_audio_buffer.commit"}, [CommitTurn()]),
        ({"type": "input_audio_buffer.clear"}, [ClearInput()]),
        ({"type": "session.update"}, [ProviderCommand("session.update")]),
        ({"type": "response.cancel"}, [StopReply()]),
        ({"type": "playback.started"}, [NotePlayback(True)]),
        ({"type": "playback.stopped"}, [NotePlayback(False)]),
        ({"type": "PONG"}, []),
        (RESULT, [AnswerCall("r1", "Weather", "sunny")]),
        ({**RESULT, "request_args": None, "role": None}, [AnswerCall("r1", "", "")]),
        ({"request_type": "query", "role": "user"}, [ProviderCommand("query", {"role": "user"})]),
        ({"type": "new", "n": 1}, [ProviderCommand("new", {"n": 1})]),
    ],
)
def test_a_message_is_read(message, commands):
    assert read(message) == commands


def test_commits_of_a_recording_are_its_clock_and_not_the_end_of_a_turn():
    tick = ProviderCommand("input_audio_buffer.commit")
    commit = {"type": "input_audio_buffer.commit"}
    assert read({"type": "session.update"}, commit, commit)[1:] == [tick, tick]


@pytest.mark.parametrize("frame", ["", "{", "[]", "null", b"\xff", '{"type":"input_text","text":5}', '{"a":1}'])
def test_nonsense_is_answered_by_an_error(frame):
    codec = DistillerServerCodec()
    assert read(frame, codec=codec) == []
    (answer,) = map(json.loads, codec.outgoing)
    assert answer["type"] == "error"
    assert answer["error_detail"]["message"]


@given(st.binary() | st.text() | st.dictionaries(st.text(), st.integers() | st.none() | st.text()).map(json.dumps))
@settings(max_examples=200)
def test_nothing_a_client_sends_raises(frame):
    DistillerServerCodec().decode(frame)


@pytest.mark.parametrize("barge_in", [True, False])
def test_the_session_says_whether_it_listens_always(barge_in):
    codec = DistillerServerCodec(barge_in=barge_in)
    (created,) = written(SessionStarted(), codec=codec)
    assert created == {"type": "session.created", "capabilities": {"vad_enabled": barge_in}}


def test_the_setup_holds_the_address_and_the_agents():
    (setup,) = DistillerServerCodec(Place("p", "u", "1", "org"), agents=["Weather"]).greet()
    assert [tool.name for tool in setup.tools] == ["Weather"]
    assert setup.extra == {"project": "p", "uuid": "u", "project_version": "1", "account": "org"}


def test_a_response_is_announced_once_and_ended_once():
    kinds = [
        m["type"]
        for m in written(
            AgentChanged("A"),
            TranscriptDelta("assistant", "a"),
            AudioOutputDelta(b"x"),
            TranscriptDelta("assistant", "", True),
            AgentChanged("B"),
            TextDelta(0, "b"),
            AudioOutputDelta(b"y"),
            TurnComplete(StopReason.end_turn),
        )
    ]
    text, audio = "response.text.delta", "response.audio.delta"
    assert kinds == ["response.created", text, text, audio, text, text, audio, *ENDS]


def test_an_interruption_is_followed_by_the_end():
    codec = DistillerServerCodec()
    written(AudioOutputDelta(b"x"), codec=codec)
    kinds = [m["type"] for m in written(Interrupted(), TurnComplete(StopReason.interrupted), codec=codec)]
    assert kinds == ["response.interrupted", *ENDS]


def test_an_interruption_of_what_was_sent_to_its_end_gets_an_end_of_its_own_once():
    codec = DistillerServerCodec()
    written(AudioOutputDelta(b"x"), TurnComplete(StopReason.end_turn), codec=codec)
    cut = (Interrupted(), Interrupted(), TurnComplete(StopReason.interrupted))
    assert [m["type"] for m in written(*cut, codec=codec)] == ["response.interrupted", "response.done"]
    assert [m["type"] for m in written(TurnComplete(StopReason.interrupted), codec=codec)] == ENDS  # another one's
    written(Interrupted(), codec=codec)
    read({"type": "input_text", "text": "Hi"}, codec=codec)
    assert [m["type"] for m in written(TurnComplete(StopReason.end_turn), codec=codec)] == ENDS  # said nothing
    written(Interrupted(), codec=codec)
    kinds = [m["type"] for m in written(AudioOutputDelta(b"y"), TurnComplete(StopReason.interrupted), codec=codec)]
    assert kinds == ["response.created", "response.audio.delta", *ENDS]


def test_a_history_in_front_of_a_turn_is_read_as_messages():
    said = [Message("user", "Hi\n\u2028"), Message("assistant", "Ho")]
    assert read({"type": "input_text", "text": tell(said, "and\nnow?")}) == [
        *map(AddMessage, said),
        SendContent(TextBlock("and\nnow?")),
        CommitTurn(),
    ]


def test_a_call_waits_within_the_response():
    codec = DistillerServerCodec()
    call = (
        ToolUseStart(0, "r1", "Weather"),
        ToolInputDelta(0, "r1", '{"city": '),
        ToolInputDelta(0, "r1", '"Rome"}'),
        ToolUseEnd(0, "r1"),
    )
    created, wait = written(*call, TurnComplete(StopReason.tool_use), codec=codec)
    assert created == {"type": "response.created"}
    assert wait == {"role": "Weather", "status": "wait", "request_id": "r1", "kwargs": {"city": "Rome"}}
    assert [m["type"] for m in written(TurnComplete(StopReason.end_turn), codec=codec)] == ENDS


@pytest.mark.parametrize(("arguments", "kwargs"), [("", None), ("[1]", {"query": [1]}), ("{", {"query": "{"})])
def test_arguments_are_an_object_whatever_they_were(arguments, kwargs):
    call = (ToolUseStart(0, "r1", "W"), ToolInputDelta(0, "r1", arguments), ToolUseEnd(0, "r1"))
    assert written(*call)[1].get("kwargs") in (kwargs, kwargs or {})


def test_what_the_user_said_is_told_in_pieces_and_whole():
    events = (
        TranscriptDelta("user", "Hello"),
        TranscriptDelta("user", " you", True),
        TranscriptDelta("user", "X", True),
    )
    assert written(*events) == [
        {"type": "response.audio_transcript.delta", "delta": "Hello"},
        {"type": "response.audio_transcript.done", "text": "Hello you"},
        {"type": "response.audio_transcript.done", "text": "X"},
    ]


def test_only_what_ends_the_session_is_an_error():
    """The official client stops reading at the first one."""
    assert written(Problem(ProtocolError("x")), GoingAway(1.0), SpeechStarted()) == []
    (error,) = written(Error(ConnectionLost("gone")))
    assert error == {"type": "error", "error": "gone", "error_detail": {"message": "gone"}}


def test_a_ping_and_whatever_else_goes_as_it_is():
    assert DistillerServerCodec().ping() == ['{"type":"PING"}']
    assert written(ProviderEvent("distiller", "x", {"type": "x", "n": None})) == [{"type": "x", "n": None}]
    assert written(ProviderEvent("other", "x", {})) == []
