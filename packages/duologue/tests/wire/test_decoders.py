"""What the decoders do with frames that the transcripts don't hold."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from duologue import (
    AudioOutputDelta,
    ConnectionLost,
    Error,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    RateLimited,
    RemoteProtocolError,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextDelta,
    ToolCancelled,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    Usage,
)
from hypothesis import given
from hypothesis import strategies as st

from .decoders import DECODERS, DistillerDecoder, GeminiDecoder, GptLiveDecoder, OpenAIDecoder
from .transcripts import NAMES, load

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def paths(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            found += paths(value, (*here, key))
    return found


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_damaged_frame_never_raises_and_the_session_goes_on(name: str, data: st.DataObject) -> None:
    decoder = DECODERS[name]()
    frames = [frame.frame for frame in load(name).incoming()]
    frame = copy.deepcopy(data.draw(st.sampled_from(frames)))
    *way, last = data.draw(st.sampled_from(paths(frame)))
    node: Any = frame
    for key in way:
        node = node[key]
    node[last] = data.draw(JUNK)
    decoder.decode(frame)
    assert not any(isinstance(event, Problem) for event in decoder.decode(frames[0]))


@pytest.mark.parametrize("name", NAMES)
@given(frame=st.dictionaries(st.text(max_size=12) | st.just("type"), JUNK, max_size=4))
def test_any_object_is_survived(name: str, frame: dict[str, Any]) -> None:
    DECODERS[name]().decode(frame)


def reason(provider: str, frame: dict[str, Any]) -> str:
    (event,) = DECODERS[provider]().decode(frame)
    assert isinstance(event, Problem)
    assert isinstance(event.exception, RemoteProtocolError)
    assert event.exception.provider == provider
    return str(event.exception)


@pytest.mark.parametrize(
    ("provider", "frame", "fault"),
    [
        ("gemini", {}, "it is empty"),
        ("gemini", {"toolCall": {"functionCalls": [{"id": "x"}]}}, "'name' is missing"),
        ("gemini", {"toolCall": {"functionCalls": ["x"]}}, "holds a str, not objects"),
        ("gemini", {"toolCallCancellation": {"ids": [7]}}, "'ids' holds a int"),
        ("gemini", {"goAway": {"timeLeft": "soon"}}, "a duration is not like '50s'"),
        ("openai", {"event_id": "e"}, "'type' is missing"),
        ("openai", {"type": "response.output_audio.delta", "delta": "?"}, "'delta' is not base64"),
        ("openai", {"type": "response.output_audio.delta", "delta": "AAAA"}, "3 bytes of PCM16"),
        ("openai", {"type": "response.output_item.added", "output_index": True, "item": {"type": "function_call"}},
         "'output_index' is a bool, not a int"),
        ("openai", {"type": "response.function_call_arguments.delta", "item_id": "i", "delta": "{"},
         "unknown call item 'i'"),
        ("distiller", {"type": None, "content": None}, "'type' is missing"),
        ("distiller", {"type": "response.audio.delta"}, "'delta' is missing"),
        ("gptlive", {"type": "session.input_transcript.delta", "delta": "a", "start_ms": -1, "end_ms": 2},
         "'start_ms' is no time"),
    ],
)  # fmt: skip
def test_a_malformed_frame_is_a_problem_that_names_the_fault(provider: str, frame: dict[str, Any], fault: str) -> None:
    assert fault in reason(provider, frame)


def test_what_came_before_a_fault_in_a_message_is_kept() -> None:
    parts = [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": d}} for d in ("AAA=", "?")]
    first, second = GeminiDecoder().decode({"serverContent": {"modelTurn": {"parts": parts}}})
    assert first == AudioOutputDelta(b"\0\0")
    assert isinstance(second, Problem)


class TestGemini:
    def test_audio_of_either_base64_alphabet_is_read(self) -> None:
        pcm = b"\xff\xfb\xff\xff"
        for data in (base64.b64encode(pcm), base64.urlsafe_b64encode(pcm)):
            part = {"inlineData": {"mimeType": "audio/pcm", "data": data.decode()}}
            events = GeminiDecoder().decode({"serverContent": {"modelTurn": {"parts": [part]}}})
            assert events == [AudioOutputDelta(pcm, "audio/pcm;rate=24000")]

    def test_text_is_told_apart_from_thoughts(self) -> None:
        parts = [{"text": "hm", "thought": True}, {"text": "Yes."}]
        events = GeminiDecoder().decode({"serverContent": {"modelTurn": {"parts": parts}}})
        assert events == [ProviderEvent("gemini", "part", parts[0]), TextDelta(0, "Yes.")]

    def test_where_the_provider_reports_speech_a_cut_adds_none(self) -> None:
        decoder = GeminiDecoder()
        frames: list[dict[str, Any]] = [
            {"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "1.2s"}},
            {"serverContent": {"interrupted": True}},
            {"voiceActivity": {"type": "ACTIVITY_END", "audioOffset": "2s"}},
            {"serverContent": {"interrupted": True}},
        ]
        events = [event for frame in frames for event in decoder.decode(frame)]
        assert events == [SpeechStarted(), Interrupted(), SpeechStopped(), SpeechStarted(), Interrupted()]

    @pytest.mark.parametrize(
        ("told", "meant"),
        [
            ("NEED_MORE_INPUT", StopReason.end_turn),
            ("GENERATED_AUDIO_SAFETY", StopReason.refusal),
            ("PROHIBITED_INPUT_CONTENT", StopReason.refusal),
            ("MALFORMED_FUNCTION_CALL", StopReason.error),
            ("SOMETHING_NEW", StopReason.error),
        ],
    )
    def test_the_reason_of_an_end(self, told: str, meant: StopReason) -> None:
        content = {"turnComplete": True, "turnCompleteReason": told}
        assert GeminiDecoder().decode({"serverContent": content}) == [TurnComplete(meant)]

    @pytest.mark.parametrize("said", ["responseTokenCount", "candidatesTokenCount"])
    def test_usage_rides_with_the_end_of_its_turn(self, said: str) -> None:
        counts = {"promptTokenCount": 5, said: 9}
        (event,) = GeminiDecoder().decode({"serverContent": {"turnComplete": True}, "usageMetadata": counts})
        assert event == TurnComplete(StopReason.end_turn, Usage(5, 9, counts))

    def test_calls_are_numbered_through_a_turn_and_anew_in_the_next(self) -> None:
        decoder = GeminiDecoder()
        call = {"toolCall": {"functionCalls": [{"id": "a", "name": "f"}]}}
        starts = [decoder.decode(call)[0], decoder.decode(call)[0]]
        decoder.decode({"serverContent": {"turnComplete": True}})
        starts.append(decoder.decode(call)[0])
        assert starts == [ToolUseStart(index, "a", "f") for index in (0, 1, 0)]

    def test_the_end_of_an_uncut_turn_ends_the_users_words_too(self) -> None:
        decoder = GeminiDecoder()
        decoder.decode({"serverContent": {"inputTranscription": {"text": "Hi"}}})
        events = decoder.decode({"serverContent": {"turnComplete": True}})
        assert events == [TranscriptDelta("user", "", final=True), TurnComplete(StopReason.end_turn)]

    def test_a_notice_of_the_end_with_fractions(self) -> None:
        assert GeminiDecoder().decode({"goAway": {"timeLeft": "9.5s"}}) == [GoingAway(9.5)]


def done(status: str, **more: Any) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": "r", "status": status, **more}}


def item(status: str, arguments: str) -> dict[str, Any]:
    call = {"id": "i", "type": "function_call", "status": status, "name": "f", "call_id": "c", "arguments": arguments}
    return {"type": "response.output_item.done", "output_index": 0, "item": call}


class TestOpenAI:
    def started(self) -> OpenAIDecoder:
        decoder = OpenAIDecoder()
        decoder.decode({**item("in_progress", ""), "type": "response.output_item.added"})
        decoder.decode({"type": "response.function_call_arguments.delta", "item_id": "i", "delta": '{"a"'})
        return decoder

    def test_a_call_that_was_cut_off_is_given_up_not_completed(self) -> None:
        events = self.started().decode(item("incomplete", '{"a"'))
        assert events == [ToolCancelled("c", "f", "the response ended within the call")]

    def test_arguments_that_were_not_streamed_are_made_up_for(self) -> None:
        assert self.started().decode(item("completed", '{"a":1}')) == [
            ToolInputDelta(0, "c", ":1}"),
            ToolUseEnd(0, "c"),
        ]
        whole = [ToolUseStart(0, "c", "f"), ToolInputDelta(0, "c", "{}"), ToolUseEnd(0, "c")]
        assert OpenAIDecoder().decode(item("completed", "{}")) == whole

    def test_a_transcript_that_was_not_streamed_is_made_up_for(self) -> None:
        decoder = OpenAIDecoder()
        kind = "response.output_audio_transcript"
        decoder.decode({"type": f"{kind}.delta", "item_id": "i", "delta": "Good "})
        events = decoder.decode({"type": f"{kind}.done", "item_id": "i", "transcript": "Good day."})
        assert events == [TranscriptDelta("assistant", "day.", final=True)]

    def test_a_revised_transcript_ends_without_contradiction(self) -> None:
        decoder = OpenAIDecoder()
        kind = "conversation.item.input_audio_transcription"
        decoder.decode({"type": f"{kind}.delta", "item_id": "i", "delta": "for tea"})
        events = decoder.decode({"type": f"{kind}.completed", "item_id": "i", "transcript": "forty"})
        assert events == [TranscriptDelta("user", "", final=True)]

    def test_a_transcription_that_failed_ends_its_item(self) -> None:
        frame = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "i", "error": {"code": "x"}}
        ended, problem = OpenAIDecoder().decode(frame)
        assert ended == TranscriptDelta("user", "", final=True)
        assert isinstance(problem, Problem)

    def test_a_reply_in_text(self) -> None:
        frame = {
            "type": "response.output_text.delta",
            "response_id": "r",
            "item_id": "i",
            "content_index": 1,
            "delta": "a",
        }
        (event,) = OpenAIDecoder().decode(frame)
        assert event == TextDelta(1, "a")
        assert isinstance(event, TextDelta)
        assert (event.response_id, event.item_id) == ("r", "i")

    @pytest.mark.parametrize(
        ("frame", "meant"),
        [
            (done("incomplete", status_details={"reason": "max_output_tokens"}), StopReason.max_tokens),
            (done("incomplete", status_details={"reason": "content_filter"}), StopReason.refusal),
            (done("failed", status_details={"error": {"code": "server_error"}}), StopReason.error),
            (done("completed", output=[{"type": "function_call"}]), StopReason.tool_use),
        ],
    )
    def test_the_reason_of_an_end(self, frame: dict[str, Any], meant: StopReason) -> None:
        *before, end = OpenAIDecoder().decode(frame)
        assert end == TurnComplete(meant)
        assert [type(event) for event in before] == ([Problem] if meant is StopReason.error else [])

    def test_usage_comes_with_the_end(self) -> None:
        counts = {"input_tokens": 5, "output_tokens": 9}
        assert OpenAIDecoder().decode(done("completed", usage=counts)) == [
            TurnComplete(StopReason.end_turn, Usage(5, 9, counts))
        ]

    def test_errors_by_code(self) -> None:
        (limited,) = OpenAIDecoder().decode({"type": "error", "error": {"code": "rate_limit_exceeded"}})
        (expired,) = OpenAIDecoder().decode({"type": "error", "error": {"code": "session_expired"}})
        assert isinstance(limited, Problem)
        assert isinstance(limited.exception, RateLimited)
        assert isinstance(expired, Error)
        assert isinstance(expired.exception, ConnectionLost)


class TestDistiller:
    def test_nulls_and_blanks_say_nothing(self) -> None:
        frame = {"type": "response.text.delta", "content": None, "role": None, "video": None}
        assert DistillerDecoder().decode(frame) == []

    def test_audio_is_read_under_both_names_at_the_rate_agreed(self) -> None:
        for key in ("audio", "delta"):
            frame = {"type": "response.audio.delta", key: "AAA=", "text": None}
            assert DistillerDecoder(22050).decode(frame) == [AudioOutputDelta(b"\0\0", "audio/pcm;rate=22050")]

    def test_a_wait_without_id_has_the_one_its_client_assumes(self) -> None:
        first, *_ = DistillerDecoder().decode({"status": "wait", "role": "Clock", "kwargs": {}})
        assert isinstance(first, ToolUseStart)
        assert (first.tool_use_id, first.name) == ("single_request", "Clock")

    def test_waits_of_one_response_are_numbered(self) -> None:
        decoder = DistillerDecoder()
        waits = [{"status": "wait", "role": "Clock", "request_id": i} for i in ("a", "b")]
        starts = [decoder.decode(wait)[0] for wait in waits]
        assert starts == [ToolUseStart(0, "a", "Clock"), ToolUseStart(1, "b", "Clock")]

    @pytest.mark.parametrize("kind", ["response.text.done", "response.done", "response.interrupted"])
    def test_whatever_ends_the_text_ends_its_transcript_once(self, kind: str) -> None:
        decoder = DistillerDecoder()
        decoder.decode({"type": "response.text.delta", "content": "Hi"})
        finals = [decoder.decode({"type": k})[:1] for k in (kind, "response.text.done")]
        assert finals == [[TranscriptDelta("assistant", "", final=True)], []]

    @pytest.mark.parametrize("frame", [{"error_detail": {"message": "no quota"}}, {"error": "no quota"}])
    def test_an_error_is_a_problem_for_the_socket_stays_open(self, frame: dict[str, Any]) -> None:
        (event,) = DistillerDecoder().decode({"type": "error", **frame})
        assert isinstance(event, Problem)
        assert "no quota" in str(event.exception)

    def test_an_interruption_marks_one_turn_only(self) -> None:
        decoder = DistillerDecoder()
        decoder.decode({"type": "response.interrupted"})
        ends = [decoder.decode({"type": "response.done"}) for _ in range(2)]
        assert ends == [[TurnComplete(StopReason.interrupted)], [TurnComplete(StopReason.end_turn)]]


class TestGptLive:
    def piece(self, start: int, end: int, side: str = "output") -> dict[str, Any]:
        return {"type": f"session.{side}_transcript.delta", "delta": "a", "start_ms": start, "end_ms": end}

    @pytest.mark.parametrize(("start", "ends"), [(599, False), (600, True)])
    def test_a_pause_begins_a_new_utterance(self, start: int, ends: bool) -> None:
        decoder = GptLiveDecoder()
        decoder.decode(self.piece(0, 100))
        events = decoder.decode(self.piece(start, start + 100))
        assert any(isinstance(e, TranscriptDelta) and e.final for e in events) is ends

    def test_word_times_count_from_the_first_audio(self) -> None:
        decoder = GptLiveDecoder()
        decoder.decode({"type": "session.output_audio.delta", "delta": "AAA=", "start_ms": 50, "end_ms": 150})
        (event,) = decoder.decode(self.piece(60, 100))
        assert isinstance(event, TranscriptDelta)
        assert [word.end_ms for word in event.words] == [50.0]

    def test_a_close_ends_what_is_being_said(self) -> None:
        decoder = GptLiveDecoder()
        for side in ("output", "input"):
            decoder.decode(self.piece(0, 100, side))
        closed = {"type": "session.closed", "reason": "close_requested"}
        assert decoder.decode(closed) == [TranscriptDelta(role, "", final=True) for role in ("user", "assistant")]

    def test_a_close_we_did_not_ask_for_is_an_error(self) -> None:
        (event,) = GptLiveDecoder().decode({"type": "session.closed", "reason": "expired"})
        assert isinstance(event, Error)
        assert isinstance(event.exception, ConnectionLost)

    def test_an_error_is_a_problem(self) -> None:
        (event,) = GptLiveDecoder().decode({"type": "error", "error": {"message": "no such delegation"}})
        assert isinstance(event, Problem)
        assert "no such delegation" in str(event.exception)

    def test_events_of_a_delegate_that_are_no_call_stay_the_providers(self) -> None:
        frame = {"type": "response.event", "delegation_id": "d", "event": {"type": "response.completed"}}
        assert GptLiveDecoder().decode(frame) == [ProviderEvent("gptlive", "response.event:response.completed", frame)]
