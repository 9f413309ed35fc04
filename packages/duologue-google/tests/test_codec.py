"""The client half of the codec, rule by rule."""

import base64
import json
from dataclasses import replace

import pytest
from duologue import AudioBlock, ImageBlock, Message, TextBlock, Tool, TurnDetection
from duologue.errors import RemoteProtocolError, UnsupportedFormat
from duologue.events import (
    AudioOutputDelta,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCancelled,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import CallRecord, StopReason, Usage
from duologue.wire import AnswerCall, CommitTurn, NotePlayback, Opening, SendContent, StopReply, Truncate, UpdateSession
from duologue_google import GeminiCodec, LiveOptions, traits_of
from duologue_google.exchange import GATE_LIMIT_S
from duologue_google.plan import make_plan
from google_kit import MODEL_25, MODEL_31, MODEL_38

PCM = b"\1\0" * 320
MIC = SendContent(AudioBlock(PCM, "audio/pcm;rate=16000"))
IMAGE = SendContent(ImageBlock(b"\xff\xd8"))
MANUAL = TurnDetection(mode="manual")
START = {"realtimeInput": {"activityStart": {}}}
END = {"realtimeInput": {"activityEnd": {}}}
STREAM_END = {"realtimeInput": {"audioStreamEnd": True}}
STOP = {"clientContent": {"turnComplete": False}}
ASK = {"clientContent": {"turnComplete": True}}
SOUND = {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": base64.b64encode(PCM).decode()}}}


def said(*texts, complete=True):
    turn = {"role": "user", "parts": [{"text": text} for text in texts]}
    return {"clientContent": {"turns": [turn], "turnComplete": complete}}


def typed(text):
    return {"realtimeInput": {"text": text}}


class Wire:
    """A codec with JSON on its other side."""

    def __init__(self, model=MODEL_38, *, opening=None, traits=None, detection=None, tools=(), started=True, **options):
        plan = make_plan(
            model=model,
            resource=f"models/{model}",
            options=LiveOptions.of(options),
            traits=traits,
            tools=tools,
            detection=detection,
        )
        self.codec = GeminiCodec(plan, opening or Opening())
        self.setup = json.loads(self.codec.opening()[0])["setup"]
        if started:
            self.comes({"setupComplete": {}})

    def comes(self, *frames):
        return [event for frame in frames for event in self.codec.decode(json.dumps(frame))]

    def goes(self, *commands):
        return [json.loads(frame) for command in commands for frame in self.codec.encode(command)]

    def went(self):
        frames, self.codec.outgoing = self.codec.outgoing, []
        return [json.loads(frame) for frame in frames]

    def speaks(self):
        return self.comes({"serverContent": {"modelTurn": {"parts": [sound()]}}})

    def calls(self, *names, ids=True):
        made = [{"id": f"fc-{n}", "name": name} if ids else {"name": name} for n, name in enumerate(names, 1)]
        return self.comes({"toolCall": {"functionCalls": made}})


def sound(data=b"\0\0", mime="audio/pcm;rate=24000"):
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


def content(**fields):
    return {"serverContent": fields}


def response(name="f", call_id="fc-1", **more):
    (key, value), *rest = more.items() or [("output", "ok")]
    found = {"id": call_id, "name": name, "response": {key: value}, **dict(rest)}
    return {"toolResponse": {"functionResponses": [found]}}


class TestWhatComes:
    def test_the_session_starts_once(self):
        wire = Wire(started=False)
        assert wire.comes({"setupComplete": {"sessionId": "s-1"}}) == [SessionStarted("s-1", MODEL_38)]
        again = wire.comes({"setupComplete": {"sessionId": "s-1"}})
        assert again == [ProviderEvent("gemini", "setupComplete", {"sessionId": "s-1"})]

    @pytest.mark.parametrize("spelled", [str, lambda text: text.encode()])
    def test_text_and_binary_frames_are_the_same(self, spelled):
        wire = Wire()
        frame = spelled(json.dumps(content(modelTurn={"parts": [sound(b"\1\0")]})))
        assert wire.codec.decode(frame) == [AudioOutputDelta(b"\1\0")]

    def test_one_message_carries_several_parts_a_transcript_and_a_call(self):
        wire = Wire()
        frame = content(
            modelTurn={"parts": [sound(b"\1\0"), {"text": "hm"}, sound(b"\2\0", "audio/pcm")]},
            outputTranscription={"text": "Hi", "finished": True},
            inputTranscription={"text": "Hello"},
        )
        frame["toolCall"] = {"functionCalls": [{"id": "fc-1", "name": "f", "args": {"a": 1}}]}
        assert wire.comes(frame) == [
            TranscriptDelta("user", "Hello"),
            TranscriptDelta("assistant", "Hi"),
            TranscriptDelta("assistant", "", final=True),
            AudioOutputDelta(b"\1\0"),
            TextDelta(0, "hm"),
            AudioOutputDelta(b"\2\0"),
            ToolUseStart(0, "fc-1", "f"),
            ToolInputDelta(0, "fc-1", '{"a": 1}'),
            ToolUseEnd(0, "fc-1"),
        ]

    def test_several_pieces_with_their_text_take_the_fast_path_and_say_the_same(self):
        frame = content(modelTurn={"parts": [sound(), sound()]}, outputTranscription={"text": "Hi", "finished": True})
        slow = json.loads(json.dumps(frame).replace("mimeType", "mime_type"))
        assert Wire().comes(frame) == Wire().comes(slow)
        assert len(Wire().comes(frame)) == 4

    @pytest.mark.parametrize("data", [b"\0", b"\0\0\0"])
    def test_half_a_sample_is_a_problem_and_other_parts_are_kept(self, data):
        events = Wire().comes(content(modelTurn={"parts": [sound(data), sound(b"\1\0")]}))
        assert events[0] == AudioOutputDelta(b"\1\0")
        assert isinstance(events[1], Problem)
        assert "half a sample" in str(events[1].exception)

    def test_empty_audio_is_nothing(self):
        assert Wire().comes(content(modelTurn={"parts": [sound(b"")]})) == []

    def test_an_empty_message_is_a_problem(self):
        (event,) = Wire().comes({})
        assert isinstance(event, Problem)
        assert isinstance(event.exception, RemoteProtocolError)
        assert event.exception.provider == "gemini"

    def test_a_message_of_nulls_is_nothing(self):
        assert Wire().comes({"serverContent": None, "usageMetadata": None}) == []
        assert Wire().comes(content(modelTurn=None, turnComplete=None)) == []

    def test_what_is_not_modelled_comes_verbatim(self):
        new = {"x": [1, {"snake_case": 2}]}
        events = Wire().comes({"newThing": new}, content(newer=new), content(modelTurn={"parts": [{"newest": new}]}))
        assert events == [
            ProviderEvent("gemini", "newThing", new),
            ProviderEvent("gemini", "serverContent.newer", new),
            ProviderEvent("gemini", "part", {"newest": new}),
        ]

    def test_one_more_field_of_something_known_is_no_news(self):
        frame = content(modelTurn={"parts": [{"inlineData": {**sound()["inlineData"], "displayName": "x"}}]})
        assert Wire().comes(frame) == [AudioOutputDelta(b"\0\0")]

    def test_thoughts_are_told_apart_from_text(self):
        thought = {"text": "hm", "thought": True}
        assert Wire().comes(content(modelTurn={"parts": [thought]})) == [ProviderEvent("gemini", "part", thought)]

    def test_an_interruption_is_the_users_speech_first(self):
        wire = Wire()
        wire.speaks()
        assert wire.comes(content(interrupted=True), content(turnComplete=True)) == [
            SpeechStarted(),
            Interrupted(),
            TurnComplete(StopReason.interrupted),
        ]

    @pytest.mark.parametrize("signal", ["voiceActivity", "voiceActivityDetectionSignal"])
    def test_where_speech_is_reported_an_interruption_adds_none(self, signal):
        begin, end = {
            "voiceActivity": ({"type": "ACTIVITY_START"}, {"type": "ACTIVITY_END"}),
            "voiceActivityDetectionSignal": (
                {"vadSignalType": "VAD_SIGNAL_TYPE_SOS"},
                {"vadSignalType": "VAD_SIGNAL_TYPE_EOS"},
            ),
        }[signal]
        events = Wire().comes({signal: begin}, content(interrupted=True), {signal: end})
        assert events == [SpeechStarted(), Interrupted(), SpeechStopped()]

    def test_speech_that_is_reported_twice_begins_once(self):
        frames = [{"voiceActivity": {"type": "ACTIVITY_START"}}]
        frames.append({"voiceActivityDetectionSignal": {"vadSignalType": "VAD_SIGNAL_TYPE_SOS"}})
        assert Wire().comes(*frames) == [SpeechStarted()]

    def test_the_end_of_a_turn_carries_the_usage_of_either_backend(self):
        for name in ("responseTokenCount", "candidatesTokenCount", "response_token_count"):
            frame = {**content(turnComplete=True), "usageMetadata": {"promptTokenCount": 5, name: 9}}
            (end,) = Wire().comes(frame)
            assert isinstance(end, TurnComplete)
            assert (end.usage.input_tokens, end.usage.output_tokens) == (5, 9)
        assert end == TurnComplete(StopReason.end_turn, Usage(5, 9, {"promptTokenCount": 5, "responseTokenCount": 9}))

    def test_usage_by_itself_is_news_of_the_provider(self):
        usage = {"promptTokenCount": 5, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}]}
        assert Wire().comes({"usageMetadata": usage}) == [ProviderEvent("gemini", "usageMetadata", usage)]

    def test_an_interaction_of_several_turns_ends_when_it_is_idle(self):
        wire = Wire("gemini-3.8-live-extended-thinking")
        wire.comes(content(outputTranscription={"text": "Let me see."}))
        first = wire.comes({**content(turnComplete=True, interactionStatus="IN_PROGRESS"), "usageMetadata": {}})
        assert not any(isinstance(event, TurnComplete) for event in first)
        assert TranscriptDelta("assistant", "", final=True) in first
        last = wire.comes(content(turnComplete=True, interactionStatus="IDLE"))
        assert last[-1] == TurnComplete(StopReason.end_turn)

    @pytest.mark.parametrize(
        ("told", "meant"),
        [
            ("", StopReason.end_turn),
            ("NEED_MORE_INPUT", StopReason.end_turn),
            ("GENERATED_AUDIO_SAFETY", StopReason.refusal),
            ("PROHIBITED_INPUT_CONTENT", StopReason.refusal),
            ("RESPONSE_REJECTED", StopReason.refusal),
            ("MALFORMED_FUNCTION_CALL", StopReason.error),
            ("SOMETHING_NEW", StopReason.error),
        ],
    )
    def test_the_reason_of_an_end(self, told, meant):
        assert Wire().comes(content(turnComplete=True, turnCompleteReason=told)) == [TurnComplete(meant)]

    def test_calls_that_come_together_are_numbered_and_others_begin_anew(self):
        wire = Wire()
        assert [event.index for event in wire.calls("f", "g")] == [0, 0, 0, 1, 1, 1]
        wire.comes(content(turnComplete=True))
        assert wire.calls("f")[0].index == 0

    def test_a_call_without_an_id_gets_one_that_the_answer_leaves_out(self):
        wire = Wire(MODEL_25)
        started = [event for event in wire.calls("f", "f", ids=False) if isinstance(event, ToolUseStart)]
        assert len({event.tool_use_id for event in started}) == 2
        (answer,) = wire.goes(AnswerCall(started[1].tool_use_id, "f", "ok"))
        assert answer == {"toolResponse": {"functionResponses": [{"name": "f", "response": {"output": "ok"}}]}}

    def test_a_call_without_a_name_is_a_problem_and_the_next_is_kept(self):
        events = Wire().comes({"toolCall": {"functionCalls": [{"id": "x"}, {"id": "y", "name": "f"}]}})
        assert events[0] == ToolUseStart(0, "y", "f")
        assert "'name'" in str(events[-1].exception)

    def test_a_withdrawn_call_is_cancelled_and_not_answered(self):
        wire = Wire()
        wire.calls("f")
        cancelled = wire.comes({"toolCallCancellation": {"ids": ["fc-1", "fc-9"]}})
        assert cancelled == [
            ToolCancelled("fc-1", "f", "cancelled by the provider"),
            ToolCancelled("fc-9", "", "cancelled by the provider"),
        ]
        assert wire.goes(AnswerCall("fc-1", "f", "late")) == []

    @pytest.mark.parametrize(("left", "seconds"), [("50s", 50.0), ("0.5s", 0.5), ("0s", 0.0)])
    def test_the_end_of_the_connection_is_announced(self, left, seconds):
        assert Wire().comes({"goAway": {"timeLeft": left}}) == [GoingAway(seconds)]

    @pytest.mark.parametrize("left", ["soon", "-1s", "1e9s", None])
    def test_a_time_that_is_none_is_a_problem(self, left):
        (event,) = Wire().comes({"goAway": {"timeLeft": left}})
        assert isinstance(event, Problem)

    def test_only_a_new_handle_that_is_resumable_counts(self):
        wire = Wire(opening=Opening(handle="h-0"))
        for update, handle in (
            ({"resumable": True}, "h-0"),
            ({"newHandle": "h-1"}, "h-0"),
            ({"newHandle": "h-1", "resumable": False}, "h-0"),
            ({"newHandle": "h-2", "resumable": True}, "h-2"),
            ({"resumable": False}, "h-2"),
        ):
            (event,) = wire.comes({"sessionResumptionUpdate": update})
            assert event == ProviderEvent("gemini", "sessionResumptionUpdate", update)
            assert wire.codec.handle == handle


class TestWhatGoes:
    def test_sound_goes_as_it_is_with_its_rate(self):
        wire = Wire()
        assert wire.goes(MIC) == [SOUND]
        (other,) = wire.goes(SendContent(AudioBlock(PCM, "audio/pcm;rate=8000")))
        assert other["realtimeInput"]["audio"]["mimeType"] == "audio/pcm;rate=8000"
        (bare,) = wire.goes(SendContent(AudioBlock(PCM)))
        assert bare == SOUND
        assert wire.goes(SendContent(AudioBlock(b""))) == []

    def test_sound_of_another_kind_is_refused(self):
        with pytest.raises(UnsupportedFormat, match="PCM16"):
            Wire().goes(SendContent(AudioBlock(PCM, "audio/pcmu;rate=8000")))

    def test_the_old_way_is_an_option(self):
        wire = Wire(media_chunks=True)
        (mic, image) = wire.goes(MIC, IMAGE)
        assert mic == {"realtimeInput": {"mediaChunks": [SOUND["realtimeInput"]["audio"]]}}
        assert image == {"realtimeInput": {"mediaChunks": [{"mimeType": "image/jpeg", "data": "/9g="}]}}

    def test_images_are_frames_of_a_video(self):
        assert Wire().goes(IMAGE) == [{"realtimeInput": {"video": {"mimeType": "image/jpeg", "data": "/9g="}}}]

    @pytest.mark.parametrize(
        ("model", "sent"), [(MODEL_38, said("a", "b")), (MODEL_25, said("a", "b")), (MODEL_31, typed("a\nb"))]
    )
    def test_text_goes_with_the_question_in_one_message(self, model, sent):
        wire = Wire(model)
        assert wire.goes(SendContent(TextBlock("a")), SendContent(TextBlock("b"))) == []
        assert wire.goes(CommitTurn()) == [sent]

    @pytest.mark.parametrize(("model", "sent"), [(MODEL_38, said("a", complete=False)), (MODEL_31, typed("a"))])
    def test_text_that_asks_for_nothing_goes_before_the_next_sound(self, model, sent):
        wire = Wire(model)
        assert wire.goes(SendContent(TextBlock("a")), MIC) == [sent, SOUND]

    def test_text_that_asks_for_nothing_does_not_cut_the_reply(self):
        wire = Wire()
        wire.speaks()
        assert wire.goes(SendContent(TextBlock("a")), MIC) == [SOUND]
        wire.comes(content(turnComplete=True))
        assert wire.went() == [said("a", complete=False)]
        assert wire.goes(CommitTurn()) == [ASK]

    @pytest.mark.parametrize(("model", "asked"), [(MODEL_38, [ASK]), (MODEL_31, [])])
    def test_a_question_without_words_is_asked_where_that_is_possible(self, model, asked):
        assert Wire(model).goes(CommitTurn()) == asked

    @pytest.mark.parametrize("model", [MODEL_38, MODEL_31])
    def test_the_end_of_spoken_input_ends_the_stream(self, model):
        assert Wire(model).goes(MIC, CommitTurn()) == [SOUND, STREAM_END]

    @pytest.mark.parametrize("model", [MODEL_38, MODEL_31])
    def test_manual_turns_are_marked_around_their_sound(self, model):
        wire = Wire(model, detection=MANUAL)
        assert wire.goes(MIC, MIC, CommitTurn(), MIC) == [START, SOUND, SOUND, END, START, SOUND]
        assert wire.codec.capabilities.server_vad is False

    def test_typed_text_in_manual_mode(self):
        text = SendContent(TextBlock("a"))
        assert Wire(MODEL_38, detection=MANUAL).goes(text, CommitTurn()) == [said("a")]
        assert Wire(MODEL_31, detection=MANUAL).goes(text, CommitTurn()) == [START, typed("a"), END]
        wire = Wire(MODEL_38, detection=MANUAL)
        assert wire.goes(MIC, text, CommitTurn()) == [START, SOUND, said("a", complete=False), END]

    @pytest.mark.parametrize(("model", "stop"), [(MODEL_38, [STOP]), (MODEL_25, [STOP]), (MODEL_31, [])])
    def test_a_reply_is_stopped_with_automatic_detection(self, model, stop):
        wire = Wire(model)
        wire.speaks()
        assert wire.goes(StopReply()) == stop

    @pytest.mark.parametrize("model", [MODEL_38, MODEL_31])
    def test_a_reply_is_stopped_in_manual_mode_by_the_beginning_of_the_next_turn(self, model):
        wire = Wire(model, detection=MANUAL)
        wire.speaks()
        assert wire.goes(StopReply(), StopReply(), MIC, CommitTurn()) == [START, SOUND, END]

    def test_where_a_new_turn_does_not_cut_content_does(self):
        wire = Wire(detection=TurnDetection(mode="manual", interrupt=False))
        wire.speaks()
        assert wire.goes(StopReply()) == [STOP]

    def test_a_cut_of_ours_is_not_told_as_speech(self):
        wire = Wire()
        wire.speaks()
        wire.goes(StopReply())
        assert wire.comes(content(interrupted=True), content(turnComplete=True)) == [
            Interrupted(),
            TurnComplete(StopReason.interrupted),
        ]
        wire.speaks()
        assert wire.comes(content(interrupted=True)) == [SpeechStarted(), Interrupted()]

    def test_a_typed_question_cuts_the_reply_without_speech(self):
        wire = Wire()
        wire.speaks()
        wire.goes(SendContent(TextBlock("stop")), CommitTurn())
        assert wire.comes(content(interrupted=True)) == [Interrupted()]

    def test_what_a_model_says_that_cannot_be_stopped_is_not_passed_on(self):
        wire = Wire(MODEL_31)
        wire.speaks()
        wire.goes(StopReply())
        assert wire.speaks() == []
        assert wire.comes(content(modelTurn={"parts": [sound(), sound()]}, outputTranscription={"text": "x"})) == [
            TranscriptDelta("assistant", "x")
        ]
        wire.comes(content(generationComplete=True), content(turnComplete=True))
        assert wire.speaks() == [AudioOutputDelta(b"\0\0")]

    def test_a_question_after_a_stop_of_what_never_came_is_heard(self):
        wire = Wire(MODEL_31)
        wire.goes(StopReply(), SendContent(TextBlock("a")), CommitTurn())
        assert wire.speaks() == [AudioOutputDelta(b"\0\0")]

    def test_other_commands_have_no_words(self):
        assert Wire().goes(Truncate("i", 5), NotePlayback(started=True)) == []


class TestCalls:
    TOOLS = (
        Tool("now", None, schema={}, delivery="now"),
        Tool("idle", None, schema={}, delivery="when_idle"),
        Tool("silent", None, schema={}, delivery="silent"),
        Tool("waits", None, schema={}, blocking=True),
    )

    def test_declarations_say_whether_the_model_waits(self):
        declared = Wire(tools=self.TOOLS).setup["tools"][0]["functionDeclarations"]
        assert [entry.get("behavior") for entry in declared] == [None, None, None, "BLOCKING"]
        other = Wire(MODEL_31, tools=self.TOOLS).setup["tools"][0]["functionDeclarations"]
        assert not any("behavior" in entry for entry in other)

    @pytest.mark.parametrize(
        ("name", "scheduling"), [("now", "INTERRUPT"), ("idle", "WHEN_IDLE"), ("silent", "SILENT"), ("waits", None)]
    )
    def test_the_delivery_of_a_result_is_its_scheduling(self, name, scheduling):
        wire = Wire(tools=self.TOOLS)
        wire.calls(name)
        more = {} if scheduling is None else {"scheduling": scheduling}
        assert wire.goes(AnswerCall("fc-1", name, "ok")) == [response(name, output="ok", **more)]

    @pytest.mark.parametrize("model", [MODEL_31, "gemini-3.8-live-extended-thinking"])
    def test_models_without_scheduling_are_told_none(self, model):
        wire = Wire(model)
        wire.calls("f")
        assert wire.goes(AnswerCall("fc-1", "f", "error: no")) == [response(error="no")]

    def test_a_result_that_interrupts_is_not_told_as_speech(self):
        wire = Wire(tools=self.TOOLS)
        wire.calls("now")
        wire.speaks()
        wire.goes(AnswerCall("fc-1", "now", "ok"))
        assert wire.comes(content(interrupted=True)) == [Interrupted()]

    def test_images_of_a_result_go_beside_its_text(self):
        wire = Wire(MODEL_31)
        wire.calls("f")
        (frame,) = wire.goes(AnswerCall("fc-1", "f", [TextBlock("a"), ImageBlock(b"\xff\xd8")]))
        found = frame["toolResponse"]["functionResponses"][0]
        assert found["response"] == {"output": "a"}
        assert found["parts"] == [{"inlineData": {"mimeType": "image/jpeg", "data": "/9g="}}]

    def test_an_answer_to_no_call_is_logged_and_not_sent(self, caplog):
        assert Wire().goes(AnswerCall("nope", "f", "x")) == []
        assert "nope" in caplog.text

    def test_a_call_of_the_session_before_is_answered_where_it_was_taken_up_again(self):
        wire = Wire(MODEL_31, opening=Opening(handle="h"))
        assert wire.goes(AnswerCall("fc-7", "f", "ok")) == [response(call_id="fc-7")]


class TestTheGate:
    """Input while a blocking call is open closes sessions of some models (1008)."""

    def open_call(self, model=MODEL_31, **more):
        wire = Wire(model, **more)
        wire.calls("f")
        return wire

    @pytest.mark.parametrize("model", [MODEL_31, MODEL_25])
    def test_the_microphone_is_dropped_and_counted_until_the_result(self, model):
        wire = self.open_call(model)
        assert wire.goes(MIC, MIC, IMAGE) == []
        assert wire.codec.input_dropped == 3
        assert wire.goes(AnswerCall("fc-1", "f", "ok"), MIC)[1:] == [SOUND]

    def test_all_calls_must_be_answered(self):
        wire = Wire(MODEL_31)
        wire.calls("f", "g")
        wire.goes(AnswerCall("fc-1", "f", "ok"))
        assert wire.goes(MIC) == []
        wire.comes({"toolCallCancellation": {"ids": ["fc-2"]}})
        assert wire.goes(MIC) == [SOUND]

    def test_models_and_tools_that_do_not_block_hear_on(self):
        assert self.open_call(MODEL_38).goes(MIC) == [SOUND]
        tools = [Tool("f", None, schema={}, blocking=False)]
        assert self.open_call(MODEL_25, tools=tools).goes(MIC) == [SOUND]
        traits = replace(traits_of(MODEL_31), gates_input=False)
        assert self.open_call(MODEL_31, traits=traits).goes(MIC) == [SOUND]

    def test_text_waits_for_the_result_and_is_not_lost(self):
        wire = self.open_call()
        assert wire.goes(SendContent(TextBlock("a")), CommitTurn()) == []
        assert wire.goes(AnswerCall("fc-1", "f", "ok")) == [response(), typed("a")]
        assert wire.codec.input_dropped == 0

    def test_several_questions_that_waited_are_one(self):
        wire = self.open_call(MODEL_25)
        for text in "abc":
            wire.goes(SendContent(TextBlock(text)), CommitTurn())
        assert wire.goes(AnswerCall("fc-1", "f", "ok"))[1:] == [said("a", "b", "c")]

    def test_calls_that_are_never_answered_are_forgotten(self):
        wire = Wire(MODEL_25)
        for number in range(1500):
            wire.comes({"toolCall": {"functionCalls": [{"id": f"fc-{number}", "name": "f"}]}})
        assert len(wire.codec._exchange.calls) == 1024
        assert wire.goes(AnswerCall("fc-0", "f", "ok")) == []

    def test_text_goes_too_when_the_call_is_withdrawn(self):
        wire = self.open_call()
        wire.goes(SendContent(TextBlock("a")), CommitTurn())
        wire.comes({"toolCallCancellation": {"ids": ["fc-1"]}})
        assert wire.went() == [typed("a")]

    def test_a_stop_waits_for_the_result(self):
        traits = replace(traits_of(MODEL_25), gates_input=True)
        wire = self.open_call(MODEL_25, traits=traits)
        assert wire.goes(StopReply()) == []
        assert wire.goes(AnswerCall("fc-1", "f", "error: cancelled"))[1:] == [STOP]

    def test_the_end_of_an_activity_is_never_held_back(self):
        wire = Wire(MODEL_31, detection=MANUAL)
        wire.goes(MIC)
        wire.calls("f")
        assert wire.goes(MIC, CommitTurn()) == [END]

    def test_a_call_that_is_never_answered_does_not_deafen_for_ever(self):
        wire = self.open_call()
        second = SendContent(AudioBlock(bytes(32000), "audio/pcm;rate=16000"))
        dropped = 0
        while not wire.goes(second):
            dropped += 1
        assert dropped == GATE_LIMIT_S


class TestOpening:
    HISTORY = (
        Message("user", "Hi"),
        Message("assistant", "Hello", calls=(CallRecord("1", "f", {"a": 1}, "2"),)),
        Message("assistant", "again"),
    )
    TURNS = [  # noqa: RUF012 - never changed
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": 'Hello\n[called f({"a": 1}): 2]'}, {"text": "again"}]},
    ]

    def test_a_fresh_session_asks_for_handles_without_one(self):
        assert Wire().setup["sessionResumption"] == {}

    def test_a_handle_is_sent_with_the_setup(self):
        assert Wire(opening=Opening(handle="h")).setup["sessionResumption"] == {"handle": "h"}

    @pytest.mark.parametrize("model", [MODEL_38, MODEL_25])
    def test_a_history_goes_as_content_where_that_is_taken(self, model):
        wire = Wire(model, opening=Opening(history=self.HISTORY))
        assert "historyConfig" not in wire.setup
        assert wire.went() == [{"clientContent": {"turns": self.TURNS, "turnComplete": False}}]

    def test_a_history_is_announced_where_content_is_history_only(self):
        wire = Wire(MODEL_31, opening=Opening(history=self.HISTORY))
        assert wire.setup["historyConfig"] == {"initialHistoryInClientContent": True}
        assert wire.went() == [{"clientContent": {"turns": self.TURNS, "turnComplete": True}}]

    def test_nothing_is_said_before_the_session_stands(self):
        wire = Wire(opening=Opening(history=self.HISTORY), started=False)
        assert wire.went() == []

    def test_what_a_resumed_session_missed_is_told_where_it_can_be(self):
        opening = Opening("h", self.HISTORY[:1])
        assert Wire(opening=opening).went() == [said("Hi", complete=False)]
        other = Wire(MODEL_31, opening=opening)
        assert other.went() == []
        assert "historyConfig" not in other.setup
        assert other.codec.continues is False

    def test_a_plan_can_be_written_down_and_read_again(self):
        wire = Wire(tools=TestCalls.TOOLS, detection=MANUAL)
        described = json.loads(json.dumps(wire.codec._plan.describe()))
        other = GeminiCodec.from_description(described)
        assert other.opening() == wire.codec.opening()
        assert other.capabilities == wire.codec.capabilities


class TestUpdates:
    def test_a_running_session_is_changed_where_the_model_takes_it(self):
        wire = Wire()
        tool = Tool("g", None, "d", {"type": "object", "properties": {"a": {"type": "string"}}}, delivery="silent")
        (frame,) = wire.goes(UpdateSession("be terse", (tool,)))
        assert frame["contextUpdate"]["systemInstruction"] == {"role": "user", "parts": [{"text": "be terse"}]}
        (declared,) = frame["contextUpdate"]["tools"]["tools"][0]["functionDeclarations"]
        assert declared["name"] == "g"
        wire.calls("g")
        assert (
            wire.goes(AnswerCall("fc-1", "g", "x"))[0]["toolResponse"]["functionResponses"][0]["scheduling"] == "SILENT"
        )

    def test_tools_can_be_taken_away_and_others_of_google_stay(self):
        wire = Wire(tools=TestCalls.TOOLS, google_search=True)
        (frame,) = wire.goes(UpdateSession(None, ()))
        assert frame == {"contextUpdate": {"tools": {"tools": [{"googleSearch": {}}]}}}

    def test_other_models_are_changed_from_the_next_connection_on(self, caplog):
        wire = Wire(MODEL_31)
        assert wire.codec.capabilities.session_update is False
        assert wire.goes(UpdateSession("be terse")) == []
        assert "next connection" in caplog.text
        assert "be terse" in wire.codec.opening()[0]
