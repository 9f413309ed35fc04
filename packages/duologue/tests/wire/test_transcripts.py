"""The four wire transcripts are sound data, and one vocabulary of events holds what they say."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from duologue import (
    AgentChanged,
    AudioOutputDelta,
    Event,
    Interrupted,
    ProviderEvent,
    SpeechStarted,
    ToolCallAssembler,
    ToolCancelled,
    ToolInputDelta,
    ToolUseBlock,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)

from .decoders import DECODERS
from .transcripts import NAMES, WireFrame, load

STORIES: dict[str, str] = {
    "gemini": """
        SessionStarted
        user "What's the weather" · user " in Paris?" · user "" end
        call 0 fc-1 get_weather · fc-1 {"city": "Paris"} · complete fc-1
        provider sessionResumptionUpdate
        assistant "In Paris it is" · audio · audio · audio · assistant " sunny, eighteen degrees."
        provider serverContent.generationComplete
        assistant "" end · TurnComplete end_turn
        provider sessionResumptionUpdate
        user "And in Rome and Oslo?"
        call 0 fc-2 get_weather · fc-2 {"city": "Rome"} · complete fc-2
        call 1 fc-3 get_weather · fc-3 {"city": "Oslo"} · complete fc-3
        cancelled fc-3 get_weather
        provider usageMetadata
        assistant "Rome has rain," · audio · audio
        SpeechStarted · Interrupted · user "Stop," · assistant " fourteen degrees"
        assistant "" end · TurnComplete interrupted
        user " thank you." · user "" end
        assistant "Fine." · audio · provider serverContent.ambienceMetadata
        provider serverContent.generationComplete
        assistant "" end · TurnComplete end_turn
        GoingAway
    """,
    "openai": """
        SessionStarted · provider session.updated
        SpeechStarted · SpeechStopped
        provider response.created
        assistant "Hello," · audio · assistant " how can I help?" · audio · assistant "" end
        TurnComplete end_turn · provider rate_limits.updated
        user "Good " · user "morning." · user "" end
        SpeechStarted · SpeechStopped
        provider response.created
        call 0 call_a get_time · call 1 call_b get_time
        call_a {"city": · call_b {"ci · call_a  "Tok · call_b ty": "Lima"} · call_a yo"}
        complete call_b · complete call_a · TurnComplete tool_use
        user "What time is it in Tokyo and Lima?" end
        provider response.created
        assistant "It is nine in the evening in Tokyo" · audio · audio
        SpeechStarted · assistant "" end · Interrupted · TurnComplete interrupted
        provider conversation.item.truncated · SpeechStopped
        provider response.created
        user "And in Cairo?" end
        assistant "In Cairo" · audio · audio · audio
        assistant "" end · Interrupted · TurnComplete interrupted
        provider conversation.item.truncated
        Problem
    """,
    "distiller": """
        SessionStarted
        user "Plan my " · user "afternoon" · user "." end
        provider response.created
        agent Planner · assistant "Let me look at " · audio · assistant "your calendar." · audio
        call 0 r-1 Calendar · r-1 {"query": "free slots today"} · complete r-1
        assistant "" end · agent Coach · assistant "You are free from three to five." · audio · audio
        assistant "" end · TurnComplete end_turn
        user "What should I do first?" end
        provider response.created
        assistant "First, take a walk " · audio · audio
        assistant "" end · SpeechStarted · Interrupted · TurnComplete interrupted
        user "Never mind." · user "" end
        provider response.created
        agent Planner · assistant "All right, I will " · audio
        assistant "" end · agent Coach · assistant "Enjoy your day." · audio
        assistant "" end · TurnComplete end_turn
        provider session.heartbeat_statistics
    """,
    "gptlive": """
        SessionStarted
        audio · audio · audio · user "What time" · audio · assistant "Mm-hm." · audio · user " is it" · audio · audio
        user " in Tokyo?" · audio
        provider session.delegation.created
        call 0 call_1 get_time · audio · call_1 {"city":  · call_1 "Tokyo"} · complete call_1
        audio · audio · audio · audio
        assistant "" end · assistant "It's four" · audio · audio · audio
        user "" end · user "Oh," · assistant " past nine" · audio · user " thanks." · audio · audio
        assistant " in Tokyo." · provider session.usage.updated · audio
    """,
}
"""What each transcript says; the parts of a line are split by a dot."""

CALLS = {
    "gemini": [
        ToolUseBlock("fc-1", "get_weather", {"city": "Paris"}),
        ToolUseBlock("fc-2", "get_weather", {"city": "Rome"}),
        ToolUseBlock("fc-3", "get_weather", {"city": "Oslo"}),
    ],
    "openai": [
        ToolUseBlock("call_b", "get_time", {"city": "Lima"}),
        ToolUseBlock("call_a", "get_time", {"city": "Tokyo"}),
    ],
    "distiller": [ToolUseBlock("r-1", "Calendar", {"query": "free slots today"})],
    "gptlive": [ToolUseBlock("call_1", "get_time", {"city": "Tokyo"})],
}


def told(event: Event) -> str:
    match event:
        case AudioOutputDelta():
            return "audio"
        case TranscriptDelta():
            return f'{event.role} "{event.delta}"{" end" if event.final else ""}'
        case ToolUseStart():
            return f"call {event.index} {event.tool_use_id} {event.name}"
        case ToolInputDelta():
            return f"{event.tool_use_id} {event.partial_json}"
        case ToolUseEnd():
            return f"complete {event.tool_use_id}"
        case ToolCancelled():
            return f"cancelled {event.tool_use_id} {event.name}"
        case TurnComplete():
            return f"TurnComplete {event.stop_reason.value}"
        case ProviderEvent():
            return f"provider {event.kind}"
        case AgentChanged():
            return f"agent {event.role}"
        case _:
            return type(event).__name__


def story(name: str) -> list[str]:
    lines = (line.strip() for line in STORIES[name].strip().splitlines())
    return [part.strip() for line in lines for part in line.split(" · ")]


def decoded(name: str) -> list[Event]:
    decoder = DECODERS[name]()
    return [event for frame in load(name).incoming() for event in decoder.decode(frame.frame)]


def payloads(frame: dict[str, Any]) -> list[str]:
    """The base64 audio of a frame, wherever its provider puts it."""
    kind = frame.get("type") or ""
    if kind.endswith("audio.delta"):
        return [frame["audio"] if "audio" in frame else frame["delta"]]
    if kind.endswith(".append"):
        return [frame["audio"]]
    parts = frame.get("serverContent", {}).get("modelTurn", {}).get("parts", ())
    blobs = [part["inlineData"] for part in parts]
    if "realtimeInput" in frame:
        blobs.append(frame["realtimeInput"]["audio"])
    return [blob["data"] for blob in blobs]


def kinds(name: str) -> list[tuple[WireFrame, str]]:
    return [(frame, str(frame.frame.get("type"))) for frame in load(name).frames]


@pytest.mark.parametrize("name", NAMES)
class TestEveryTranscript:
    def test_its_lines_are_a_head_and_frames_in_order_of_time(self, name: str) -> None:
        lines = Path(__file__).with_name(f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        head, *frames = (json.loads(line) for line in lines)
        assert set(head) == {"provider", "about"}
        assert head["provider"] == name
        assert "not a recording" in head["about"]
        assert len(frames) >= 30
        assert all(set(frame) == {"t", "dir", "frame"} for frame in frames)
        assert {frame["dir"] for frame in frames} == {"in", "out"}
        assert all(isinstance(frame["frame"], dict) and frame["frame"] for frame in frames)
        times = [frame["t"] for frame in frames]
        assert times == sorted(times)
        assert times[0] >= 0

    def test_its_audio_is_whole_blocks_of_pcm16(self, name: str) -> None:
        found = 0
        for frame in load(name).frames:
            for text in payloads(frame.frame):
                data = base64.b64decode(text, validate=True)
                found += 1
                # 40 ms at 16 or 24 kHz, 100 ms at 24 kHz
                assert len(data) in (1280, 1920, 4800)
        assert found >= 6

    def test_its_voice_is_no_silence(self, name: str) -> None:
        assert any(any(event.data) for event in decoded(name) if isinstance(event, AudioOutputDelta))

    def test_decoding_it_tells_the_story(self, name: str) -> None:
        assert [told(event).strip() for event in decoded(name)] == story(name)

    def test_its_calls_can_be_assembled(self, name: str) -> None:
        assembler = ToolCallAssembler()
        assert [block for event in decoded(name) for block in assembler.feed(event)] == CALLS[name]

    def test_every_call_that_was_not_withdrawn_is_answered_once(self, name: str) -> None:
        answers: list[str] = []
        for frame in load(name).outgoing():
            body = frame.frame
            answers += [r["id"] for r in body.get("toolResponse", {}).get("functionResponses", ())]
            if body.get("item", {}).get("type") == "function_call_output":
                answers.append(body["item"]["call_id"])
            if body.get("request_type") == "executor":
                answers.append(body["request_id"])
        withdrawn = {e.tool_use_id for e in decoded(name) if isinstance(e, ToolCancelled)}
        assert sorted(answers) == sorted({block.id for block in CALLS[name]} - withdrawn)

    def test_two_decoders_share_nothing(self, name: str) -> None:
        one, other = DECODERS[name](), DECODERS[name]()
        both = [(one.decode(frame.frame), other.decode(frame.frame)) for frame in load(name).incoming()]
        assert [told(event).strip() for _, events in both for event in events] == story(name)


class TestGemini:
    def test_setup_comes_first_on_both_sides(self) -> None:
        data = load("gemini")
        assert "setup" in data.outgoing()[0].frame
        assert "setupComplete" in data.incoming()[0].frame

    def test_an_interrupted_reply_is_never_generated_to_its_end(self) -> None:
        cut = 0
        open_cut = False
        for frame in load("gemini").incoming():
            content = frame.frame.get("serverContent", {})
            assert not (open_cut and ("generationComplete" in content or "modelTurn" in content))
            open_cut = (open_cut or bool(content.get("interrupted"))) and not content.get("turnComplete")
            cut += bool(content.get("interrupted"))
        assert cut == 1
        assert not open_cut

    def test_there_are_no_ids_but_those_of_calls(self) -> None:
        for event in decoded("gemini"):
            assert getattr(event, "response_id", "") == ""
            assert getattr(event, "item_id", "") == ""

    def test_one_message_carries_content_and_transcription(self) -> None:
        contents = [frame.frame.get("serverContent", {}) for frame in load("gemini").incoming()]
        assert any("modelTurn" in content and "outputTranscription" in content for content in contents)
        assert any(len(content.get("modelTurn", {}).get("parts", ())) > 1 for content in contents)

    def test_the_withdrawn_call_was_open(self) -> None:
        events = decoded("gemini")
        ended = [e.tool_use_id for e in events[: _at(events, ToolCancelled)] if isinstance(e, ToolUseEnd)]
        assert ended[-2:] == ["fc-2", "fc-3"]


class TestOpenAI:
    def test_every_event_of_the_server_has_its_own_id(self) -> None:
        ids = [frame.frame["event_id"] for frame in load("openai").incoming()]
        assert len(set(ids)) == len(ids)

    def test_there_is_one_response_at_a_time_and_output_belongs_to_it(self) -> None:
        active = ""
        for frame, kind in kinds("openai"):
            if frame.dir == "out":
                assert kind != "response.create" or not active
            elif kind == "response.created":
                assert not active
                active = frame.frame["response"]["id"]
            elif kind == "response.done":
                assert frame.frame["response"]["id"] == active
                active = ""
            elif kind.startswith("response."):
                assert frame.frame["response_id"] == active
        assert not active

    def test_items_are_announced_before_they_are_used(self) -> None:
        known: set[str] = set()
        for frame, kind in kinds("openai"):
            if frame.dir == "in" and kind in ("response.output_item.added", "conversation.item.added"):
                known.add(frame.frame["item"]["id"])
            elif kind.endswith((".delta", "truncate", "truncated", "completed")):
                assert frame.frame["item_id"] in known

    def test_deltas_concatenate_to_what_done_says(self) -> None:
        said: dict[str, str] = {}
        for frame, kind in kinds("openai"):
            if kind in ("response.output_audio_transcript.delta", "response.function_call_arguments.delta"):
                item = frame.frame["item_id"]
                said[item] = said.get(item, "") + frame.frame["delta"]
            elif kind == "response.output_audio_transcript.done":
                assert said[frame.frame["item_id"]] == frame.frame["transcript"]
            elif kind == "response.function_call_arguments.done":
                assert said[frame.frame["item_id"]] == frame.frame["arguments"]
        assert len(said) == 5

    def test_a_new_reply_is_asked_for_once_after_all_results(self) -> None:
        asked = [kind for frame, kind in kinds("openai") if frame.dir == "out" and frame.t in (5.5, 5.6)]
        assert asked == ["conversation.item.create", "conversation.item.create", "response.create"]

    def test_the_users_words_come_after_the_reply(self) -> None:
        events = decoded("openai")
        user = next(i for i, e in enumerate(events) if isinstance(e, TranscriptDelta) and e.role == "user")
        assert _at(events, SpeechStarted) < _at(events, AudioOutputDelta) < _at(events, TurnComplete) < user
        begun, words = events[_at(events, SpeechStarted)], events[user]
        assert isinstance(begun, SpeechStarted)
        assert isinstance(words, TranscriptDelta)
        assert begun.item_id == words.item_id == "item_u1"

    def test_both_cuts_name_their_response(self) -> None:
        assert [e.response_id for e in decoded("openai") if isinstance(e, Interrupted)] == ["resp_3", "resp_4"]


class TestDistiller:
    def test_a_response_begins_and_ends_once(self) -> None:
        order = [kind for frame, kind in kinds("distiller") if kind in ("response.created", "response.done")]
        assert order == ["response.created", "response.done"] * 3

    def test_audio_and_text_are_done_once_per_response(self) -> None:
        seen = [kind for _, kind in kinds("distiller")]
        assert seen.count("response.audio.done") == seen.count("response.text.done") == seen.count("response.done")

    def test_an_interruption_is_followed_by_the_end(self) -> None:
        seen = [kind for frame, kind in kinds("distiller") if frame.dir == "in"]
        at = seen.index("response.interrupted")
        assert "response.done" in seen[at : at + 4]
        assert "response.audio.delta" not in seen[at : at + 4]

    def test_a_ping_is_answered(self) -> None:
        order = [(frame.dir, kind) for frame, kind in kinds("distiller") if kind in ("PING", "PONG")]
        assert order == [("in", "PING"), ("out", "PONG")]

    def test_some_fields_are_null(self) -> None:
        assert sum(None in frame.frame.values() for frame in load("distiller").incoming()) >= 3

    def test_several_agents_speak_in_one_response(self) -> None:
        first = decoded("distiller")[: _at(decoded("distiller"), TurnComplete)]
        assert [e.role for e in first if isinstance(e, AgentChanged)] == ["Planner", "Coach"]


class TestGptLive:
    def test_its_audio_is_gapless_and_comes_in_real_time(self) -> None:
        end = 0
        for frame, kind in kinds("gptlive"):
            if kind == "session.output_audio.delta":
                body = frame.frame
                assert body["start_ms"] == end
                end = body["end_ms"]
                assert len(base64.b64decode(body["delta"])) == (end - body["start_ms"]) * 48
                assert frame.t == pytest.approx(0.3 + end / 1000)
        assert end == 2000

    def test_its_silence_is_sent_too(self) -> None:
        silent = [not any(e.data) for e in decoded("gptlive") if isinstance(e, AudioOutputDelta)]
        assert silent.count(True) >= 5
        assert silent.count(False) >= 5

    def test_the_two_sides_overlap(self) -> None:
        spans: dict[str, list[tuple[int, int]]] = {"input": [], "output": []}
        for frame, kind in kinds("gptlive"):
            if kind.endswith("_transcript.delta"):
                spans[kind.split(".")[1].split("_")[0]].append((frame.frame["start_ms"], frame.frame["end_ms"]))
        assert any(a < d and c < b for a, b in spans["input"] for c, d in spans["output"])

    def test_nothing_ever_ends_or_cuts_a_turn(self) -> None:
        assert not any(isinstance(e, TurnComplete | Interrupted | SpeechStarted) for e in decoded("gptlive"))

    def test_times_become_session_times_and_word_times(self) -> None:
        said = [e for e in decoded("gptlive") if isinstance(e, TranscriptDelta) and e.role == "assistant" and e.delta]
        assert [e.started_at for e in said] == [0.4, 1.3, 1.52, 1.76]
        assert [(w.text, w.end_ms) for e in said for w in e.words][-2:] == [
            ("past nine", 1760.0),
            ("in Tokyo.", 1980.0),
        ]


def _at(events: list[Event], kind: type) -> int:
    return next(i for i, event in enumerate(events) if isinstance(event, kind))
