"""The client half: what frames mean, what commands become, what is refused."""

import base64
import json

import msgspec
import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    CallRecord,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    Error,
    ImageBlock,
    Interrupted,
    Message,
    Problem,
    ProviderEvent,
    RateLimited,
    RemoteProtocolError,
    SessionStarted,
    SpeechStarted,
    TextBlock,
    TextDelta,
    Tool,
    ToolCancelled,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
    UnsupportedFormat,
)
from duologue.wire import (
    AnswerCall,
    ClearInput,
    CommitTurn,
    NotePlayback,
    Opening,
    ProviderCommand,
    SendContent,
    StopReply,
    Truncate,
    UpdateSession,
)
from duologue_openai import OpenAICodec, OpenAIOptions
from duologue_openai.plan import SessionPlan, tool_plans
from hypothesis import given
from hypothesis import strategies as st

from .plans import FULL, WEATHER

PIECE = b"\1\0" * 960


def standing(plan=None, **opening):
    codec = OpenAICodec(plan or SessionPlan(), Opening(**opening))
    codec.opening()
    hear(codec, "session.created", session={"id": "sess_1", "model": "gpt-realtime"})
    hear(codec, "session.updated", session={"id": "sess_1"})
    return codec


def hear(codec, kind, **fields):
    return codec.decode(json.dumps({"type": kind, "event_id": "event_1", **fields}))


def say(codec, command):
    return [json.loads(frame) for frame in codec.encode(command)]


def sent(codec):
    frames, codec.outgoing = codec.outgoing, []
    return [json.loads(frame) for frame in frames]


def reply(codec, response_id="r1"):
    return hear(codec, "response.created", response={"id": response_id, "status": "in_progress"})


def speak(codec, data=PIECE, item="i1", response="r1"):
    text = base64.b64encode(data).decode()
    return hear(codec, "response.output_audio.delta", delta=text, item_id=item, response_id=response)


def done(codec, response_id="r1", status="completed", **more):
    return hear(codec, "response.done", response={"id": response_id, "status": status, **more})


def fault(codec, code, event_id=None, **more):
    return hear(
        codec,
        "error",
        error={"type": "invalid_request_error", "code": code, "message": "m", "event_id": event_id, **more},
    )


# -- opening -----------------------------------------------------------------------------------------------


def test_the_session_opens_with_its_settings_and_the_history():
    call = CallRecord("c1", "weather", {"city": "Oslo"}, "rain")
    waiting = CallRecord("c2", "weather", {"city": "Rome"})
    history = [Message("user", "hi"), Message("assistant", "hello", calls=(call, waiting))]
    frames = [json.loads(frame) for frame in OpenAICodec(FULL, Opening(history=history)).opening()]
    assert [frame["type"] for frame in frames] == ["session.update"] + ["conversation.item.create"] * 4
    assert frames[0]["session"] == msgspec.to_builtins(FULL.session())
    assert [frame["item"] for frame in frames[1:]] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    ]
    assert len({frame["event_id"] for frame in frames}) == 5


def test_a_stored_prompt_keeps_what_it_says_unless_something_else_is_said():
    prompt = OpenAIOptions(prompt={"id": "pmpt_1"})
    fields = SessionPlan(options=prompt).session_fields()
    assert "instructions" not in fields
    assert "tools" not in fields
    assert SessionPlan(system="Hi", options=prompt).session_fields()["instructions"] == "Hi"
    assert SessionPlan().session_fields()["instructions"] == ""


def test_the_session_stands_once_its_settings_are_taken():
    codec = OpenAICodec(SessionPlan())
    codec.opening()
    assert hear(codec, "session.created", session={"id": "sess_1", "model": "gpt-realtime"}) == []
    started, verbatim = hear(codec, "session.updated", session={"id": "sess_1", "model": "gpt-realtime"})
    assert started == SessionStarted(model="gpt-realtime")
    assert started.session_id == "sess_1"
    assert isinstance(verbatim, ProviderEvent)
    [again] = hear(codec, "session.updated", session={"id": "sess_1"})
    assert isinstance(again, ProviderEvent)


@pytest.mark.parametrize(
    ("code", "kind", "about", "error"),
    [
        ("unknown_parameter", "invalid_request_error", True, ConfigurationError),
        ("beta_api_shape_disabled", "invalid_request_error", False, ConnectFailed),
        ("rate_limit_exceeded", "invalid_request_error", False, RateLimited),
        (None, "server_error", False, ConnectFailed),
    ],
)
def test_what_is_refused_before_the_session_stands_ends_it(code, kind, about, error):
    codec = OpenAICodec(SessionPlan())
    [setup] = map(json.loads, codec.opening())
    [event] = fault(codec, code, setup["event_id"] if about else None, type=kind)
    assert isinstance(event, Error)
    assert type(event.exception) is error
    assert event.exception.retryable == (code in ("rate_limit_exceeded", None))


def test_an_item_of_the_history_that_is_refused_is_a_problem():
    codec = OpenAICodec(SessionPlan(), Opening(history=[Message("user", "hi")]))
    item = json.loads(codec.opening()[1])
    [event] = fault(codec, "invalid_value", item["event_id"])
    assert isinstance(event, Problem)
    assert "our history" in str(event.exception)


def test_the_beta_is_told_by_its_close_code():
    error = OpenAICodec(SessionPlan()).explain_close(4000, "The Realtime Beta API is no longer supported.")
    assert isinstance(error, ConnectFailed)
    assert not error.retryable
    assert OpenAICodec(SessionPlan()).explain_close(1001, "") is None


def test_a_plan_survives_json():
    described = json.loads(json.dumps(FULL.describe()))
    assert SessionPlan.of_description(described).session() == FULL.session()
    secret = SessionPlan(
        options=OpenAIOptions(mcp=[{"server_label": "x", "authorization": "s3cret", "headers": {"a": "b"}}])
    )
    assert "s3cret" not in json.dumps(secret.describe())
    with pytest.raises(ConfigurationError):
        SessionPlan.of_description({"tools": [{"nonsense": 1}]})


# -- audio -------------------------------------------------------------------------------------------------


def test_speech_comes_with_its_ids():
    codec = standing()
    [event] = speak(codec)
    assert event == AudioOutputDelta(PIECE)
    assert (event.response_id, event.item_id) == ("r1", "i1")


def test_half_a_sample_is_a_problem():
    [event] = speak(standing(), b"abc")
    assert isinstance(event, Problem)


def test_telephone_audio_goes_through_as_it_is():
    codec = standing(SessionPlan(input_format="audio/pcmu", output_format="audio/pcmu"))
    [event] = speak(codec, b"abc")
    assert event == AudioOutputDelta(b"abc", "audio/pcmu")
    [frame] = say(codec, SendContent(AudioBlock(b"abc", "audio/pcmu")))
    assert base64.b64decode(frame["audio"]) == b"abc"
    with pytest.raises(UnsupportedFormat, match="input_audio_format"):
        codec.encode(SendContent(AudioBlock(b"abcd", "audio/pcm;rate=24000")))


@given(st.binary(max_size=4000).filter(lambda data: len(data) % 2 == 0))
def test_microphone_audio_arrives_whole(data):
    [frame] = say(standing(), SendContent(AudioBlock(data, "audio/pcm;rate=24000")))
    assert frame["type"] == "input_audio_buffer.append"
    assert base64.b64decode(frame["audio"]) == data


def test_a_manual_turn_commits_its_audio_and_asks():
    codec = standing(SessionPlan(detection=TurnDetection("manual")))
    codec.encode(SendContent(AudioBlock(bytes(4800), "audio/pcm;rate=24000")))
    assert [f["type"] for f in say(codec, CommitTurn())] == ["input_audio_buffer.commit", "response.create"]


def test_a_manual_turn_too_short_for_the_provider_is_lengthened_with_silence():
    codec = standing(SessionPlan(detection=TurnDetection("manual")))
    codec.encode(SendContent(AudioBlock(b"\1\0" * 480, "audio/pcm;rate=24000")))
    frames = say(codec, CommitTurn())
    assert [f["type"] for f in frames] == [
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "response.create",
    ]
    assert len(base64.b64decode(frames[0]["audio"])) == 3840


def test_with_server_detection_a_turn_only_asks():
    codec = standing()
    codec.encode(SendContent(AudioBlock(bytes(4800), "audio/pcm;rate=24000")))
    assert [f["type"] for f in say(codec, CommitTurn())] == ["response.create"]


def test_forgotten_audio_is_not_committed():
    codec = standing(SessionPlan(detection=TurnDetection("manual")))
    codec.encode(SendContent(AudioBlock(bytes(4800), "audio/pcm;rate=24000")))
    assert say(codec, ClearInput())[0]["type"] == "input_audio_buffer.clear"
    assert [f["type"] for f in say(codec, CommitTurn())] == ["response.create"]


# -- content, calls, updates -------------------------------------------------------------------------------


def test_text_and_pictures_are_items():
    codec = standing()
    [text] = say(codec, SendContent(TextBlock("hi")))
    [image] = say(codec, SendContent(ImageBlock(b"\xff\xd8", "image/jpeg")))
    assert text["item"]["content"] == [{"type": "input_text", "text": "hi"}]
    assert image["item"]["content"] == [{"type": "input_image", "image_url": "data:image/jpeg;base64,/9g="}]
    assert len(text["item"]["id"]) <= 32
    assert text["item"]["id"] != image["item"]["id"]


def call(codec, call_id, item, response="r1", name="weather", index=0, status="completed"):
    head = {"id": item, "type": "function_call", "call_id": call_id, "name": name}
    events = hear(codec, "response.output_item.added", response_id=response, output_index=index, item=head)
    events += hear(codec, "response.function_call_arguments.delta", response_id=response, item_id=item, delta="{}")
    whole = {**head, "status": status, "arguments": "{}"}
    return events + hear(codec, "response.output_item.done", response_id=response, output_index=index, item=whole)


def test_results_of_parallel_calls_ask_once():
    codec = standing(SessionPlan(tools=tool_plans([WEATHER])))
    reply(codec)
    call(codec, "c1", "i1")
    call(codec, "c2", "i2", index=1)
    [output] = say(codec, AnswerCall("c1", "weather", "rain"))
    assert output["item"] == {
        "type": "function_call_output",
        "id": output["item"]["id"],
        "call_id": "c1",
        "output": "rain",
    }
    done(codec)
    assert sent(codec) == []
    assert [f["type"] for f in say(codec, AnswerCall("c2", "weather", "sun"))] == [
        "conversation.item.create",
        "response.create",
    ]


def test_the_result_of_a_silent_tool_asks_for_nothing():
    quiet = Tool("note", None, "Take a note.", {"type": "object"}, delivery="silent")
    codec = standing(SessionPlan(tools=tool_plans([quiet])))
    reply(codec)
    call(codec, "c1", "i1", name="note")
    done(codec)
    assert len(say(codec, AnswerCall("c1", "note", "ok"))) == 1


def test_pictures_of_a_result_follow_it_and_audio_is_refused():
    codec = standing()
    frames = say(codec, AnswerCall("c1", "camera", [TextBlock("here"), ImageBlock(b"x")]))
    assert [f["type"] for f in frames] == ["conversation.item.create"] * 2 + ["response.create"]
    assert frames[0]["item"]["output"] == "here"
    assert frames[1]["item"]["content"][0]["type"] == "input_image"
    with pytest.raises(UnsupportedFormat):
        codec.encode(AnswerCall("c1", "camera", [AudioBlock(b"")]))


def test_a_call_cut_off_is_withdrawn():
    codec = standing()
    reply(codec)
    events = call(codec, "c1", "i1", status="incomplete")
    assert isinstance(events[-1], ToolCancelled)
    head = {"id": "i2", "type": "function_call", "call_id": "c2", "name": "weather"}
    hear(codec, "response.output_item.added", response_id="r1", output_index=1, item=head)
    events = done(codec, status="cancelled")
    assert events == [
        ToolCancelled("c2", "weather", "the response ended within the call"),
        Interrupted("r1"),
        TurnComplete(events[-1].stop_reason),
    ]


def test_arguments_of_no_call_are_a_problem():
    [event] = hear(standing(), "response.function_call_arguments.delta", response_id="r", item_id="x", delta="{")
    assert isinstance(event, Problem)


def test_an_update_holds_what_changes_and_a_refusal_is_tied_to_it():
    codec = standing(FULL)
    [update] = say(codec, UpdateSession("Be long.", (WEATHER,), TurnDetection("manual")))
    assert update["session"]["instructions"] == "Be long."
    assert [tool["type"] for tool in update["session"]["tools"]] == ["function", "mcp"]
    assert update["session"]["audio"] == {"input": {"turn_detection": None}}
    [event] = fault(codec, "invalid_value", update["event_id"], param="session.tools")
    assert isinstance(event, Problem)
    assert "our update" in str(event.exception)
    assert "session.tools" in str(event.exception)
    [small] = say(codec, UpdateSession("Be brief."))
    assert small["session"] == {"type": "realtime", "instructions": "Be brief."}


def test_playback_is_not_the_providers_business():
    assert standing().encode(NotePlayback(True)) == []


# -- interruption ------------------------------------------------------------------------------------------


def test_truncation_never_exceeds_what_was_received():
    codec = standing()
    speak(codec)
    speak(codec)
    [cut] = say(codec, Truncate("i1", 5000))
    assert (cut["item_id"], cut["content_index"], cut["audio_end_ms"]) == ("i1", 0, 80)
    speak(codec, item="i2")
    assert say(codec, Truncate("i1", 30))[0]["audio_end_ms"] == 30
    assert say(codec, Truncate("i2", 30))[0]["audio_end_ms"] == 30
    assert say(codec, Truncate("i1", -3))[0]["audio_end_ms"] == 0


def test_a_truncation_that_is_refused_names_itself_and_silences_nothing():
    codec = standing()
    reply(codec)
    speak(codec)
    done(codec)
    [cut] = say(codec, Truncate("i1", 30))
    [event] = fault(codec, "invalid_value", cut["event_id"], param="audio_end_ms")
    assert isinstance(event, Problem)
    assert "our truncate" in str(event.exception)
    assert say(codec, CommitTurn())[0]["type"] == "response.create"


def test_what_was_never_heard_is_not_truncated():
    codec = standing()
    assert say(codec, Truncate("i1", 0)) == []


def test_a_reply_is_cancelled_by_name_and_a_cancel_that_crossed_its_end_is_no_news():
    codec = standing()
    say(codec, CommitTurn())
    reply(codec)
    [cancel] = say(codec, StopReply())
    assert cancel["response_id"] == "r1"
    assert fault(codec, "response_cancel_not_active", cancel["event_id"]) == []
    assert isinstance(fault(codec, "response_cancel_not_active", "of nobody")[0], Problem)


def test_a_cancel_before_the_reply_began_follows_it():
    codec = standing()
    say(codec, CommitTurn())
    assert say(codec, StopReply()) == []
    reply(codec)
    [cancel] = sent(codec)
    assert (cancel["type"], cancel["response_id"]) == ("response.cancel", "r1")


def test_a_request_that_crossed_a_reply_is_made_again():
    codec = standing()
    say(codec, SendContent(TextBlock("hi")))
    [create] = say(codec, CommitTurn())
    reply(codec)
    assert fault(codec, "conversation_already_has_active_response", create["event_id"]) == []
    done(codec)
    assert [f["type"] for f in sent(codec)] == ["response.create"]


# -- what the server says ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "more", "reason"),
    [
        ("completed", {"output": [{"type": "function_call", "id": "x"}]}, "tool_use"),
        ("completed", {}, "end_turn"),
        ("cancelled", {}, "interrupted"),
        ("incomplete", {"status_details": {"reason": "max_output_tokens"}}, "max_tokens"),
        ("incomplete", {"status_details": {"reason": "content_filter"}}, "refusal"),
        ("failed", {"status_details": {"error": {"code": "rate_limit_exceeded", "message": "later"}}}, "error"),
        ("something new", {}, "error"),
    ],
)
def test_how_a_reply_ends(status, more, reason):
    codec = standing()
    reply(codec)
    events = done(codec, status=status, usage={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}, **more)
    end = events[-1]
    assert isinstance(end, TurnComplete)
    assert end.stop_reason.value == reason
    assert (end.usage.input_tokens, end.usage.output_tokens) == (3, 4)
    assert isinstance(events[0], Problem) == (reason == "error")
    assert isinstance(events[0], Interrupted) == (reason == "interrupted")


def test_the_end_of_a_reply_counts_even_if_the_rest_makes_no_sense():
    codec = standing()
    say(codec, CommitTurn())
    reply(codec)
    say(codec, CommitTurn())
    events = done(codec, output="nonsense")
    assert isinstance(events[0], Problem)
    assert isinstance(events[-1], TurnComplete)
    assert [f["type"] for f in sent(codec)] == ["response.create"]


def test_transcripts_hold_the_whole_text_once():
    codec = standing()
    where = {"response_id": "r1", "item_id": "i1"}
    first = hear(codec, "response.output_audio_transcript.delta", delta="Hel", **where)
    last = hear(codec, "response.output_audio_transcript.done", transcript="Hello", **where)
    assert first + last == [TranscriptDelta("assistant", "Hel"), TranscriptDelta("assistant", "lo", final=True)]
    assert [e.item_id for e in first + last] == ["i1", "i1"]
    heard = "conversation.item.input_audio_transcription"
    assert hear(codec, f"{heard}.completed", item_id="u1", transcript="Hi") == [
        TranscriptDelta("user", "Hi", final=True)
    ]
    hear(codec, f"{heard}.delta", item_id="u2", delta="Hm")
    ended, problem = hear(codec, f"{heard}.failed", item_id="u2", error={"code": "audio_unintelligible"})
    assert ended == TranscriptDelta("user", "", final=True)
    assert isinstance(problem, Problem)


def test_written_replies_are_text():
    [event] = hear(
        standing(), "response.output_text.delta", response_id="r1", item_id="i1", content_index=0, delta="Hi"
    )
    assert event == TextDelta(0, "Hi")


def test_speech_whose_beginning_nobody_told_is_placed_when_it_is_committed():
    codec = standing(SessionPlan(detection=TurnDetection("manual")))
    [placed] = hear(codec, "input_audio_buffer.committed", item_id="u1")
    assert placed == TranscriptDelta("user", "")
    assert placed.item_id == "u1"
    codec = standing()
    assert hear(codec, "input_audio_buffer.speech_started", item_id="u2") == [SpeechStarted()]
    assert hear(codec, "input_audio_buffer.committed", item_id="u2") == []
    silent = standing(SessionPlan(options=OpenAIOptions(transcription=None)))
    assert hear(silent, "input_audio_buffer.committed", item_id="u1") == []


def test_the_time_limit_is_a_loss_that_can_be_mended():
    [event] = fault(standing(), "session_expired")
    assert isinstance(event, Error)
    assert isinstance(event.exception, ConnectionLost)
    assert event.exception.retryable


def test_what_is_not_modelled_comes_verbatim():
    codec = standing()
    assert hear(codec, "rate_limits.updated", rate_limits=[{"name": "tokens"}])[0].data["rate_limits"] == [
        {"name": "tokens"}
    ]
    assert hear(codec, "something.new", x=1) == [
        ProviderEvent("openai", "something.new", {"type": "something.new", "event_id": "event_1", "x": 1})
    ]
    approval = {"id": "m1", "type": "mcp_approval_request", "server_label": "docs", "name": "search", "arguments": "{}"}
    assert hear(codec, "conversation.item.done", item=approval)[0].kind == "conversation.item.done"
    assert hear(codec, "conversation.item.done", item={"id": "x", "type": "message"}) == []


def test_an_aside_reply_is_verbatim_and_holds_nobody_up():
    codec = standing()
    data = {"response": {"conversation": "none", "metadata": {"duologue": "aside-1", "topic": "x"}}}
    [create] = say(codec, ProviderCommand("response.create", data))
    assert create["response"] == data["response"]
    metadata = {"duologue": "aside-1", "topic": "x"}
    events = hear(codec, "response.created", response={"id": "o1", "metadata": metadata})
    assert say(codec, CommitTurn())[0]["type"] == "response.create"
    reply(codec, "r1")
    events += hear(codec, "response.output_text.delta", response_id="o1", item_id="x", delta="sum")
    events += call(codec, "c9", "i9", response="o1")
    events += speak(codec, response="o1")
    events += done(codec, "o1")
    assert {type(event) for event in events} == {ProviderEvent}
    assert events[-1].data["response"]["id"] == "o1"
    assert speak(codec) == [AudioOutputDelta(PIECE)]
    assert say(codec, CommitTurn()) == []
    done(codec)
    assert [f["type"] for f in sent(codec)] == ["response.create"]


def test_results_of_asides_and_strange_errors_are_told():
    codec = standing()
    reply(codec)
    [problem, end] = done(codec, status="failed", status_details={"error": "nonsense"})
    assert isinstance(problem, Problem)
    assert end.usage is None
    reply(codec, "r2")
    events = done(codec, "r2", usage={"input_tokens": "many"})
    assert events[-1].usage.input_tokens == 0
    [event] = hear(codec, "input_audio_buffer.cleared")
    assert isinstance(event, ProviderEvent)
    whole = {"id": "m", "type": "mcp_call", "status": "completed"}
    [event] = hear(codec, "response.output_item.done", response_id="r2", item=whole)
    assert event.data["item"] == whole
    [event] = hear(codec, "response.output_item.added", response_id="r2", item={"type": "function_call"})
    assert isinstance(event, Problem)


def test_a_raw_event_is_checked():
    codec = standing()
    with pytest.raises(ConfigurationError):
        codec.encode(ProviderCommand("nonsense", {}))
    [frame] = say(codec, ProviderCommand("conversation.item.delete", {"item_id": "i1"}))
    [event] = fault(codec, "item_delete_invalid_item_id", frame["event_id"])
    assert "conversation.item.delete" in str(event.exception)


@pytest.mark.parametrize("frame", ["", "{", "[]", "null", '{"type":1}', b"\xff\xfe", b"\x00" * 9, "[" * 100_000])
def test_garbage_is_a_problem(frame):
    [event] = standing().decode(frame)
    assert isinstance(event, Problem)
    assert isinstance(event.exception, RemoteProtocolError)


@pytest.mark.parametrize("part", [b'"x":"\xff"', b'"x":' + b"[" * 50_000 + b"]" * 50_000])
def test_garbage_in_a_part_that_nobody_reads_is_no_exception(part):
    for kind in (b"rate_limits.updated", b"session.updated", b"response.created"):
        frame = b'{"type":"' + kind + b'","rate_limits":[],"session":{},"response":{"id":"r"},' + part + b"}"
        for event in standing().decode(frame):
            assert isinstance(event, Problem | ProviderEvent)


def test_two_codecs_say_the_same_for_text_and_binary_frames():
    frame = json.dumps({"type": "response.output_text.delta", "response_id": "r", "item_id": "i", "delta": "x"})
    assert standing().decode(frame) == standing().decode(frame.encode())
