"""The server half of the codec, rule by rule."""

import base64
import json

import pytest
from duologue import AudioBlock, ImageBlock, Message, TextBlock, TurnDetection
from duologue.events import (
    AudioOutputDelta,
    GoingAway,
    Interrupted,
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
from duologue.types import StopReason, Usage
from duologue.wire import AnswerCall, CommitTurn, SendContent, SetUp, StopReply, UpdateSession
from duologue_google import GeminiCodec, GeminiServerCodec, SessionPlan

SETUP = {"setup": {"model": "models/x"}}


def server(setup=None, **options):
    codec = GeminiServerCodec(**options)
    comes(codec, {"setup": {"model": "models/x", **(setup or {})}})
    return codec


def comes(codec, *frames):
    return [command for frame in frames for command in codec.decode(json.dumps(frame))]


def goes(codec, *events):
    return [json.loads(frame) for event in events for frame in codec.encode(event)]


def content(**fields):
    return {"serverContent": fields}


class TestWhatComes:
    def test_the_first_command_is_the_setup(self):
        codec = GeminiServerCodec()
        assert comes(codec, SETUP) == [SetUp(model="models/x")]
        assert codec.refusal is None

    def test_anything_before_the_setup_is_refused(self):
        codec = GeminiServerCodec()
        assert comes(codec, {"realtimeInput": {"text": "x"}}) == []
        assert codec.refusal == (1007, "setup must be the first message")

    def test_a_second_setup_is_no_command(self):
        assert comes(server(), SETUP) == []

    @pytest.mark.parametrize(
        "frame", [{"realtimeInput": 7}, {"nonsense": 1}, {}, {"realtimeInput": {"audio": {"data": "?"}}}]
    )
    def test_nonsense_is_what_google_closes_for(self, frame):
        codec = server()
        comes(codec, frame)
        assert codec.refusal[0] == 1007
        assert len(codec.refusal[1].encode()) <= 123

    @pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
    @pytest.mark.parametrize("snake", [True, False])
    def test_sound_in_every_spelling(self, encode, snake):
        data = b"\xff\xd8\xfb\xef"
        names = ("realtime_input", "mime_type") if snake else ("realtimeInput", "mimeType")
        frame = {names[0]: {"audio": {"data": encode(data).decode(), names[1]: "audio/pcm;rate=16000"}}}
        wanted = [SendContent(AudioBlock(data, "audio/pcm;rate=16000"))]
        codec = server()
        assert comes(codec, frame) == wanted
        assert codec.decode(json.dumps(frame).encode()) == wanted
        assert codec.refusal is None

    def test_old_chunks_are_told_apart_by_their_type(self):
        chunks = [{"data": "AAA=", "mimeType": "audio/pcm"}, {"data": "/9g=", "mime_type": "image/jpeg"}]
        assert comes(server(), {"realtimeInput": {"mediaChunks": chunks}}) == [
            SendContent(AudioBlock(b"\0\0")),
            SendContent(ImageBlock(b"\xff\xd8")),
        ]

    def test_several_things_in_one_message_all_count(self):
        frame = {
            "realtimeInput": {
                "audio": {"data": "AAA="},
                "video": {"data": "/9g=", "mimeType": "image/png"},
                "text": "x",
            }
        }
        kinds = [type(command).__name__ for command in comes(server(), frame)]
        assert kinds == ["SendContent", "SendContent", "SendContent", "CommitTurn"]

    def test_an_activity_is_a_turn_and_cuts_the_reply(self):
        config = {"automaticActivityDetection": {"disabled": True}}
        codec = server({"realtimeInputConfig": config})
        goes(codec, AudioOutputDelta(b"\0\0"))
        start, end = {"realtimeInput": {"activityStart": {}}}, {"realtimeInput": {"activityEnd": {}}}
        assert comes(codec, start, start, {"realtimeInput": {"text": "a"}}, end, end) == [
            StopReply(),
            SendContent(TextBlock("a")),
            CommitTurn(),
        ]

    def test_an_activity_that_may_not_interrupt_cuts_nothing(self):
        config = {"automaticActivityDetection": {"disabled": True}, "activityHandling": "NO_INTERRUPTION"}
        codec = server({"realtimeInputConfig": config})
        goes(codec, AudioOutputDelta(b"\0\0"))
        assert comes(codec, {"realtimeInput": {"activityStart": {}}}) == []

    def test_the_end_of_the_stream_ends_a_turn_of_sound_only(self):
        end = {"realtimeInput": {"audioStreamEnd": True}}
        sound = {"realtimeInput": {"audio": {"data": "AAA="}}}
        assert comes(server(), end) == []
        assert comes(server(), sound, end, end)[1:] == [CommitTurn()]

    def test_content_of_the_model_is_told_as_such(self):
        turns = [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]
        assert comes(server(), {"clientContent": {"turns": turns}}) == [
            SendContent(TextBlock("a")),
            SendContent(TextBlock("[assistant] b")),
        ]

    def test_empty_content_stops_the_reply_or_asks(self):
        assert comes(server(), {"clientContent": {"turnComplete": False}}) == [StopReply()]
        assert comes(server(), {"client_content": {"turn_complete": True}}) == [CommitTurn()]

    def test_an_announced_history_comes_after_the_greeting_and_before_the_setup(self):
        codec = GeminiServerCodec()
        assert comes(codec, {"setup": {"model": "m", "historyConfig": {"initialHistoryInClientContent": True}}}) == []
        assert [json.loads(frame) for frame in codec.outgoing] == [{"setupComplete": {}}]
        turns = [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]
        assert comes(codec, {"clientContent": {"turns": turns[:1]}}) == []
        (setup,) = comes(codec, {"clientContent": {"turns": turns[1:], "turnComplete": True}})
        assert setup.history == (Message("user", "a"), Message("assistant", "b"))
        assert goes(codec, SessionStarted("s")) == []

    def test_a_history_that_never_comes_is_none(self):
        codec = GeminiServerCodec()
        comes(codec, {"setup": {"model": "m", "historyConfig": {"initialHistoryInClientContent": True}}})
        sound = {"realtimeInput": {"audio": {"data": "AAA=", "mimeType": "audio/pcm"}}}
        setup, heard = comes(codec, sound)
        assert setup == SetUp(model="m")
        assert heard == SendContent(AudioBlock(b"\0\0"))

    @pytest.mark.parametrize(
        ("response", "text"),
        [
            ({"output": "x"}, "x"),
            ({"error": "x"}, "error: x"),
            ({"result": {"a": 1}}, '{"a": 1}'),
            ({"a": 1, "b": "ü"}, '{"a": 1, "b": "ü"}'),
            ({}, "{}"),
        ],
    )
    def test_results_are_text(self, response, text):
        frame = {"toolResponse": {"functionResponses": [{"id": "1", "name": "f", "response": response}]}}
        assert comes(server(), frame) == [AnswerCall("1", "f", text)]

    def test_a_result_with_pictures_and_one_without_an_id(self):
        codec = server()
        goes(codec, ToolUseStart(0, "fc-1", "f"), ToolInputDelta(0, "fc-1", "{}"), ToolUseEnd(0, "fc-1"))
        parts = [{"inlineData": {"mimeType": "image/png", "data": "/9g="}}]
        frame = {"tool_response": {"function_responses": [{"name": "f", "response": {"output": "x"}, "parts": parts}]}}
        assert comes(codec, frame) == [AnswerCall("fc-1", "f", [TextBlock("x"), ImageBlock(b"\xff\xd8", "image/png")])]

    def test_results_without_ids_answer_the_calls_in_order(self):
        codec = server()
        for call_id in ("fc-1", "fc-2"):
            goes(codec, ToolUseStart(0, call_id, "f"), ToolInputDelta(0, call_id, "{}"), ToolUseEnd(0, call_id))
        results = [{"name": "f", "response": {"output": text}} for text in "ab"]
        answers = comes(codec, {"toolResponse": {"functionResponses": results}})
        assert answers == [AnswerCall("fc-1", "f", "a"), AnswerCall("fc-2", "f", "b")]

    def test_a_part_of_a_result_is_waited_for(self):
        entry = {"id": "1", "name": "f", "response": {"output": "x"}, "willContinue": True}
        assert comes(server(), {"toolResponse": {"functionResponses": [entry]}}) == []

    def test_an_update_changes_what_it_holds(self):
        (update,) = comes(server(), {"contextUpdate": {"systemInstruction": {"parts": [{"text": "x"}]}}})
        assert update == UpdateSession("x", None)
        (update,) = comes(server(), {"contextUpdate": {"tools": {"tools": []}}})
        assert (update.system, update.tools) == (None, ())

    def test_turn_detection_of_the_setup(self):
        config = {
            "automatic_activity_detection": {
                "start_of_speech_sensitivity": "START_SENSITIVITY_HIGH",
                "silenceDurationMs": 300,
            }
        }
        (setup,) = comes(GeminiServerCodec(), {"setup": {"model": "m", "realtime_input_config": config}})
        assert setup.turn_detection == TurnDetection(threshold=0.3, silence_ms=300)


class TestWhatGoes:
    def test_frames_are_binary_unless_text_is_wanted(self):
        event = AudioOutputDelta(b"\1\0", "audio/pcm;rate=24000")
        wanted = content(
            modelTurn={"role": "model", "parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "AQA="}}]}
        )
        for binary, kind in ((True, bytes), (False, str)):
            codec = server(binary=binary)
            for said in (event, TextDelta(0, "x"), ProviderEvent("gemini", "usageMetadata", {})):
                (frame,) = codec.encode(said)
                assert isinstance(frame, kind)
            assert json.loads(codec.encode(event)[0]) == wanted

    def test_a_reply_is_generated_before_it_is_complete(self):
        codec = server()
        goes(codec, AudioOutputDelta(b"\0\0"))
        assert goes(codec, TurnComplete(StopReason.end_turn)) == [
            content(generationComplete=True),
            content(turnComplete=True),
        ]
        assert goes(codec, TurnComplete(StopReason.end_turn)) == [content(turnComplete=True)]

    def test_a_cut_is_told_once_whoever_made_it(self):
        codec = server()
        goes(codec, AudioOutputDelta(b"\0\0"))
        assert goes(codec, TurnComplete(StopReason.interrupted)) == [
            content(interrupted=True),
            content(turnComplete=True),
        ]
        goes(codec, AudioOutputDelta(b"\0\0"))
        assert goes(codec, Interrupted(), TurnComplete(StopReason.interrupted)) == [
            content(interrupted=True),
            content(turnComplete=True),
        ]

    @pytest.mark.parametrize(
        ("reason", "told"), [(StopReason.refusal, "RESPONSE_REJECTED"), (StopReason.error, "GENERATED_OTHER")]
    )
    def test_other_ends_have_their_reason(self, reason, told):
        codec = server()
        (frame,) = goes(codec, TurnComplete(reason))
        assert frame == content(turnComplete=True, turnCompleteReason=told)
        (event,) = GeminiCodec(SessionPlan(setup={})).decode(json.dumps(frame))
        assert event.stop_reason is reason

    @pytest.mark.parametrize(("vertex", "name"), [(False, "responseTokenCount"), (True, "candidatesTokenCount")])
    def test_usage_in_the_words_of_each_backend(self, vertex, name):
        (frame,) = goes(server(vertex=vertex), TurnComplete(StopReason.end_turn, Usage(5, 9)))
        assert frame["usageMetadata"] == {"promptTokenCount": 5, name: 9, "totalTokenCount": 14}

    def test_text_is_sent_to_who_asked_for_it(self):
        events = (
            TranscriptDelta("user", "a"),
            TranscriptDelta("assistant", "b", final=True),
            TranscriptDelta("user", ""),
        )
        assert goes(server(), *events) == []
        asked = server({"inputAudioTranscription": {}, "output_audio_transcription": {}})
        assert goes(asked, *events) == [
            content(inputTranscription={"text": "a"}),
            content(outputTranscription={"text": "b", "finished": True}),
        ]

    def test_speech_is_reported_to_who_asked_for_it(self):
        assert goes(server(), SpeechStarted()) == []
        asked = server({"explicitVadSignal": True})
        assert goes(asked, SpeechStarted()) == [{"voiceActivity": {"type": "ACTIVITY_START"}}]

    def test_handles_are_offered_to_who_asked_for_them(self):
        assert server().offer("h") == []
        codec = server({"sessionResumption": {}})
        assert [json.loads(f) for f in codec.offer("h")] == [
            {"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}}
        ]
        assert [json.loads(f) for f in codec.offer("")] == [{"sessionResumptionUpdate": {"resumable": False}}]

    @pytest.mark.parametrize(("seconds", "told"), [(50.0, "50s"), (0.5, "0.5s"), (-3.0, "0s"), (100.0, "100s")])
    def test_the_end_is_announced_in_googles_durations(self, seconds, told):
        (frame,) = goes(server(), GoingAway(seconds))
        assert frame == {"goAway": {"timeLeft": told}}
        assert GeminiCodec(SessionPlan(setup={})).decode(json.dumps(frame)) == [GoingAway(max(0.0, seconds))]

    def test_a_call_whose_arguments_are_no_json_is_not_sent(self):
        events = (ToolUseStart(0, "a", "f"), ToolInputDelta(0, "a", "{"), ToolUseEnd(0, "a"))
        assert goes(server(), *events) == []

    def test_only_news_that_every_client_knows_is_passed_on(self):
        codec = server()
        status = ProviderEvent("gemini", "serverContent.interactionStatus", "IDLE")
        assert goes(codec, status) == [content(interactionStatus="IDLE")]
        assert goes(codec, ProviderEvent("gemini", "newThing", 1), ProviderEvent("openai", "usageMetadata", {})) == []
