"""The server half: what a client is told, and what it is refused."""

import base64
import json

import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    CallRecord,
    Event,
    ImageBlock,
    Interrupted,
    Message,
    ProtocolError,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextBlock,
    TextDelta,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    Usage,
)
from duologue.events import Error, GoingAway, Problem, ProviderEvent
from duologue.wire import (
    AddMessage,
    AnswerCall,
    ClearInput,
    CommitTurn,
    ProviderCommand,
    SendContent,
    SetUp,
    StopReply,
    Truncate,
    UpdateSession,
)
from duologue_openai import OpenAICodec, OpenAIServerCodec
from duologue_openai.plan import SessionPlan
from hypothesis import given
from hypothesis import strategies as st

PIECE = b"\1\0" * 960


def served(**settings):
    codec = OpenAIServerCodec("gpt-realtime")
    codec.greet()
    codec.encode(SessionStarted("sess_9"))
    if settings:
        say(codec, "session.update", session={"type": "realtime", **settings})
    return codec


def say(codec, kind, **fields):
    """The commands and the answers to an event of the client."""
    commands = codec.decode(json.dumps({"type": kind, **fields}))
    answers, codec.outgoing = codec.outgoing, []
    return commands, [json.loads(answer) for answer in answers]


def told(codec, *events):
    return [json.loads(frame) for event in events for frame in codec.encode(event)]


def types(frames):
    return [frame["type"] for frame in frames]


def refusal(codec, kind, **fields):
    commands, [answer] = say(codec, kind, event_id="mine", **fields)
    assert commands == []
    assert answer["type"] == "error"
    assert answer["error"]["event_id"] == "mine"
    return answer["error"]["code"]


def test_the_session_is_greeted_and_hears_nothing_before():
    codec = OpenAIServerCodec("gpt-realtime")
    [setup] = codec.greet()
    assert isinstance(setup, SetUp)
    assert setup.model == "gpt-realtime"
    codec.decode(json.dumps({"type": "session.update", "session": {"type": "realtime", "instructions": "x"}}))
    assert codec.outgoing == []
    frames = told(codec, SessionStarted("sess_9"))
    assert types(frames) == ["session.created", "session.updated"]
    assert frames[0]["session"]["id"] == "sess_9"


def test_an_update_is_a_command_and_merges():
    codec = served()
    tool = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}}
    commands, [answer] = say(
        codec,
        "session.update",
        session={
            "type": "realtime",
            "instructions": "Hi",
            "tools": [tool],
            "audio": {"input": {"turn_detection": None}},
        },
    )
    update = commands[0]
    assert isinstance(update, UpdateSession)
    assert (update.system, update.tools[0].name, update.turn_detection.mode) == ("Hi", "weather", "manual")
    assert answer["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert isinstance(commands[1], ProviderCommand)


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"type": "realtime", "temperature": 0.8}, "unknown_parameter"),
        ({"type": "realtime", "modalities": ["audio"]}, "unknown_parameter"),
        ({"type": "realtime", "audio": {"input": {"nonsense": 1}}}, "unknown_parameter"),
        ({"type": "realtime", "instructions": 5}, "invalid_value"),
        ({"type": "realtime", "model": "other"}, "invalid_value"),
        ({"type": "realtime", "tools": [{"type": "function"}]}, "invalid_value"),
    ],
)
def test_an_update_is_taken_whole_or_not_at_all(session, code):
    codec = served()
    before = json.dumps(codec._session.fields)
    assert refusal(codec, "session.update", session={"instructions": "new", **session} if session else {}) == code
    if code != "invalid_value" or "tools" not in session:
        assert json.dumps(codec._session.fields) == before


def test_the_voice_is_fixed_once_heard():
    codec = served()
    told(codec, AudioOutputDelta(PIECE, response_id="r1"))
    session = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    assert refusal(codec, "session.update", session=session) == "cannot_update_voice"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "missing_required_parameter"),
        ('{"type":"nonsense"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append"}', "missing_required_parameter"),
        ('{"type":"input_audio_buffer.append","audio":"A"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","audio":"AA=="}', "invalid_value"),
        ('{"type":"output_audio_buffer.clear"}', "invalid_value"),
        (json.dumps({"type": "input_audio_buffer.clear", "event_id": "x" * 513}), "invalid_event_id"),
    ],
)
def test_what_makes_no_sense_is_answered(frame, code):
    codec = served()
    assert codec.decode(frame) == []
    [answer] = map(json.loads, codec.outgoing)
    assert answer["error"]["code"] == code


def test_garbage_in_a_part_that_nobody_reads_is_answered():
    codec = served()
    assert codec.decode(b'{"type":"session.update","session":{"type":"realtime"},"x":"\xff"}') == []
    assert json.loads(codec.outgoing[0])["error"]["code"] == "invalid_json"


def test_kinds_of_items_and_content_are_checked():
    codec = served()
    message = {"type": "message", "role": "user"}
    for item in (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "["},
        {"type": "nonsense"},
        {**message, "content": [{"type": "output_text", "text": "x"}]},
        {**message, "content": [{"type": "input_image", "image_url": "https://example.com/x.png"}]},
        {**message, "content": [{"type": "input_image", "image_url": "data:image/png;base64,A"}]},
        {**message, "id": "x" * 33, "content": []},
    ):
        assert refusal(codec, "conversation.item.create", item=item) == "invalid_value"
    code = refusal(codec, "conversation.item.create", item={**message, "content": []}, previous_item_id="nobody")
    assert code == "invalid_value"
    audio = {**message, "content": [{"type": "input_audio", "audio": "AAA="}]}
    [command], _ = say(codec, "conversation.item.create", item=audio)
    assert command.block.data == b"\0\0"
    approval = {"type": "mcp_approval_response", "approval_request_id": "m1", "approve": True}
    [command], _ = say(codec, "conversation.item.create", item=approval)
    assert command.data["item"]["approve"] is True


def test_transcripts_of_several_utterances_find_their_items():
    codec = served(audio={"input": {"transcription": {"model": "x"}}})
    frames = told(codec, SpeechStarted("u1"), SpeechStopped("u1"), SpeechStarted("u2"), SpeechStopped("u2"))
    first, second = [f["item_id"] for f in frames if f["type"] == "input_audio_buffer.speech_started"]
    frames = told(
        codec,
        TranscriptDelta("user", "two", final=True, item_id="u2"),
        TranscriptDelta("user", "one", final=True, item_id="u1"),
        TranscriptDelta("user", "three", final=True, item_id="u3"),
    )
    whole = {f["transcript"]: f["item_id"] for f in frames if f["type"].endswith("completed")}
    assert (whole["one"], whole["two"]) == (first, second)
    assert whole["three"] not in (first, second)
    _, [item] = say(codec, "conversation.item.retrieve", item_id=first)
    assert item["item"]["content"][0]["transcript"] == "one"


def test_audio_is_committed_from_100_ms_on():
    codec = served(audio={"input": {"turn_detection": None}})
    assert refusal(codec, "input_audio_buffer.commit") == "input_audio_buffer_commit_empty"
    audio = base64.b64encode(bytes(4800)).decode()
    assert say(codec, "input_audio_buffer.append", audio=audio)[0] == [
        SendContent(AudioBlock(bytes(4800), "audio/pcm;rate=24000"))
    ]
    _, answers = say(codec, "input_audio_buffer.commit")
    assert types(answers) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert say(codec, "input_audio_buffer.clear")[0] == [ClearInput()]


def test_items_are_content_history_or_answers():
    codec = served()
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAA="},
    ]
    commands, answers = say(
        codec, "conversation.item.create", item={"type": "message", "role": "user", "id": "mine", "content": parts}
    )
    assert commands == [SendContent(TextBlock("look")), SendContent(ImageBlock(b"\0\0", "image/png"))]
    assert types(answers) == ["conversation.item.added", "conversation.item.done"]
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    assert say(codec, "conversation.item.create", item=said)[0] == [AddMessage(Message("assistant", "ok"))]
    past = {"type": "function_call", "call_id": "c0", "name": "weather", "arguments": '{"city":"Oslo"}'}
    assert say(codec, "conversation.item.create", item=past)[0] == []
    output = {"type": "function_call_output", "call_id": "c0", "output": "rain"}
    call = CallRecord("c0", "weather", {"city": "Oslo"}, "rain")
    assert say(codec, "conversation.item.create", item=output)[0] == [
        AddMessage(Message("assistant", "", calls=(call,)))
    ]
    assert refusal(codec, "conversation.item.create", item=output) == "invalid_value"
    taken = {"type": "message", "role": "user", "id": "mine", "content": []}
    assert refusal(codec, "conversation.item.create", item=taken) == "invalid_value"


def test_items_are_retrieved_and_deleted():
    codec = served()
    message = {"type": "message", "role": "user", "id": "mine", "content": [{"type": "input_text", "text": "hi"}]}
    say(codec, "conversation.item.create", item=message)
    _, [answer] = say(codec, "conversation.item.retrieve", item_id="mine")
    assert answer["item"]["content"] == [{"type": "input_text", "text": "hi"}]
    _, [answer] = say(codec, "conversation.item.delete", item_id="mine")
    assert answer["type"] == "conversation.item.deleted"
    assert refusal(codec, "conversation.item.retrieve", item_id="mine") == "item_retrieve_invalid_item_id"
    assert refusal(codec, "conversation.item.delete", item_id="mine") == "item_delete_invalid_item_id"


def test_a_spoken_reply_from_beginning_to_end():
    codec = served()
    frames = told(
        codec,
        TranscriptDelta("assistant", "Hi", item_id="i1", response_id="r1"),
        AudioOutputDelta(PIECE, response_id="r1", item_id="i1"),
        AudioOutputDelta(PIECE, response_id="r1", item_id="i1"),
        TranscriptDelta("assistant", "", final=True, item_id="i1", response_id="r1"),
        TurnComplete(StopReason.end_turn, Usage(1, 2), "r1"),
    )
    assert types(frames) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    done = frames[-1]["response"]
    assert done["status"] == "completed"
    assert done["usage"] == {"total_tokens": 3, "input_tokens": 1, "output_tokens": 2}
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Hi"}]
    assert len({frame["event_id"] for frame in frames}) == len(frames)
    assert told(codec, AudioOutputDelta(PIECE, response_id="r1", item_id="i1")) == []  # too late


def test_a_reply_is_one_at_a_time_and_can_be_cancelled():
    codec = served()
    commands, [created] = say(codec, "response.create")
    assert commands == [CommitTurn()]
    assert refusal(codec, "response.create") == "conversation_already_has_active_response"
    told(codec, AudioOutputDelta(PIECE, response_id="other-name", item_id="i1"))
    assert refusal(codec, "response.cancel", response_id="nonsense") == "response_cancel_not_active"
    assert say(codec, "response.cancel", response_id=created["response"]["id"])[0] == [StopReply()]
    *_, done = told(codec, TurnComplete(StopReason.interrupted, response_id="other-name"))
    assert done["response"]["id"] == created["response"]["id"]
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert refusal(codec, "response.cancel") == "response_cancel_not_active"


def test_speech_of_the_user_cuts_a_reply():
    codec = served(audio={"input": {"transcription": {"model": "x"}}})
    told(codec, AudioOutputDelta(PIECE, response_id="r1", item_id="i1"))
    frames = told(
        codec,
        SpeechStarted(),
        Interrupted("r1"),
        TurnComplete(StopReason.interrupted, response_id="r1"),
        SpeechStopped(),
        TranscriptDelta("user", "Stop"),
        TranscriptDelta("user", "", final=True),
    )
    assert types(frames)[0] == "input_audio_buffer.speech_started"
    [done] = [frame for frame in frames if frame["type"] == "response.done"]
    assert done["response"]["status_details"]["reason"] == "turn_detected"
    item = frames[0]["item_id"]
    assert types(frames)[-2:] == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert frames[-1]["item_id"] == item
    assert frames[-1]["transcript"] == "Stop"


def test_calls_and_their_output():
    codec = served()
    frames = told(
        codec,
        ToolUseStart(0, "c1", "weather"),
        ToolInputDelta(0, "c1", '{"city"'),
        ToolInputDelta(0, "c1", ':"Oslo"}'),
        ToolUseEnd(0, "c1"),
        TurnComplete(StopReason.tool_use, response_id="named-late"),
    )
    assert types(frames) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert frames[-1]["response"]["output"][0]["arguments"] == '{"city":"Oslo"}'
    output = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
    assert say(codec, "conversation.item.create", item=output)[0] == [AnswerCall("c1", "weather", "rain")]


def test_truncation_is_checked():
    codec = served()
    told(codec, AudioOutputDelta(PIECE, response_id="r1", item_id="i1"), TextDelta(0, "x", "r2", "i2"))
    told(codec, TurnComplete(StopReason.end_turn, response_id="r1"))
    where = {"content_index": 0}
    assert refusal(codec, "conversation.item.truncate", item_id="i1", audio_end_ms=41, **where) == "invalid_value"
    commands, [answer] = say(codec, "conversation.item.truncate", item_id="i1", audio_end_ms=25, **where)
    assert commands == [Truncate("i1", 25)]
    assert answer["audio_end_ms"] == 25
    assert refusal(codec, "conversation.item.truncate", item_id="i1", audio_end_ms=26, **where) == "invalid_value"
    code = refusal(codec, "conversation.item.truncate", item_id="i2", audio_end_ms=0, **where)
    assert code == "unsupported_content_type"
    code = refusal(codec, "conversation.item.truncate", item_id="i3", audio_end_ms=0, **where)
    assert code == "item_truncate_invalid_item_id"


def test_an_aside_reply_runs_beside_and_leaves_no_item():
    codec = served()
    say(codec, "response.create")
    config = {"conversation": "none", "metadata": {"topic": "x"}, "output_modalities": ["text"]}
    [command], [created] = say(codec, "response.create", response=config)
    assert isinstance(command, ProviderCommand)
    response_id = created["response"]["id"]
    assert command.data["response_id"] == response_id
    assert created["response"]["metadata"] == {"topic": "x"}
    frames = told(codec, TextDelta(0, "sum", response_id), TurnComplete(StopReason.end_turn, response_id=response_id))
    assert not [frame for frame in frames if frame["type"].startswith("conversation.")]
    assert frames[-1]["response"]["metadata"] == {"topic": "x"}
    assert codec._conversation.active is not None


def test_errors_and_verbatim_events():
    codec = served()
    frames = told(
        codec,
        Problem(ProtocolError("no", code="bad")),
        Error(ProtocolError("over", code="session_expired")),
        ProviderEvent("openai", "rate_limits.updated", {"rate_limits": []}),
        ProviderEvent("other", "x", {}),
        GoingAway(5.0),
    )
    assert [frame.get("error", {}).get("code") for frame in frames] == ["bad", "session_expired", None]


EVENTS = st.one_of(
    st.builds(AudioOutputDelta, st.just(PIECE), response_id=st.sampled_from(["r1", "r2"]), item_id=st.just("")),
    st.builds(TranscriptDelta, st.just("assistant"), st.text(max_size=5), response_id=st.sampled_from(["r1", "r2"])),
    st.builds(TurnComplete, st.sampled_from(StopReason), response_id=st.sampled_from(["r1", "r2", "r3"])),
    st.builds(Interrupted, st.sampled_from(["r1", "r2", ""])),
    st.builds(ToolUseStart, st.just(0), st.sampled_from(["c1", "c2"]), st.just("weather")),
    st.builds(ToolUseEnd, st.just(0), st.sampled_from(["c1", "c2"])),
    st.builds(ToolInputDelta, st.just(0), st.sampled_from(["c1", "c2"]), st.just("{}")),
    st.just(SpeechStarted()),
    st.just(SpeechStopped()),
)


@given(st.lists(EVENTS, max_size=30))
def test_our_client_understands_whatever_our_server_says(events: list[Event]):
    """Every reply begins and ends once; nothing is a problem; audio arrives whole."""
    server, client = served(), OpenAICodec(SessionPlan())
    sent: list[Event] = []
    open_replies: set[str] = set()
    ended: set[str] = set()
    for event in events:
        for frame in server.encode(event):
            wire = json.loads(frame)
            if wire["type"] == "response.created":
                assert wire["response"]["id"] not in open_replies | ended
                open_replies.add(wire["response"]["id"])
            if wire["type"] == "response.done":
                open_replies.remove(wire["response"]["id"])
                ended.add(wire["response"]["id"])
            if "response_id" in wire:
                assert wire["response_id"] in open_replies
            sent += client.decode(frame)
    problems = [e for e in sent if isinstance(e, Problem) and "reported" not in str(e.exception)]
    assert problems == []
    assert client.outgoing == []
