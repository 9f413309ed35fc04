import pytest
from duologue.events import ProviderEvent, SpeechStarted, SpeechStopped, ToolCancelled, ToolResult, ToolStarted
from duologue.types import CallRecord, Message
from duologue_cli.summary import PARTS, Measures
from hypothesis import given
from hypothesis import strategies as st

CALL = Message("assistant", "", calls=(CallRecord("1", "clock", {}),))
times = st.floats(0, 5000)


def reported(response="r1", **parts):
    return ProviderEvent("local", "latency", {"response_id": response, **dict.fromkeys(PARTS, 10.0), **parts})


@given(st.fixed_dictionaries(dict.fromkeys(PARTS, times)), times, st.floats(0, 5))
def test_the_parts_sum_to_voice_to_voice(parts, at, output):
    measures = Measures()
    measures.feed(reported(**parts), at)
    latency = measures.begins_to_sound("r1", at, at + output, typed=False)
    assert sum(latency.parts.values()) == pytest.approx(latency.voice_to_voice_ms, abs=0.06)
    assert latency.voice_to_voice_ms == pytest.approx(sum(parts.values()) + 1000 * output, abs=0.5)
    assert list(latency.parts) == ["end_of_turn", "asr", "llm_first", "tts_first", "output"]


def test_without_parts_it_is_measured_from_the_end_of_speech():
    measures = Measures()
    measures.feed(SpeechStopped(at=3.0), 3.4)
    latency = measures.begins_to_sound("r1", 4.0, 4.5, typed=False)
    assert latency.voice_to_voice_ms == 1500
    assert latency.parts == {**dict.fromkeys(PARTS), "output": 500}


def test_an_end_of_speech_is_used_once_and_never_lies_in_the_future():
    measures = Measures()
    measures.feed(SpeechStopped(at=99.0), 3.0)
    assert measures.begins_to_sound("r1", 4.0, 4.0, typed=False).voice_to_voice_ms == 1000
    assert measures.begins_to_sound("r2", 5.0, 5.0, typed=False) is None
    assert len(measures.latencies) == 1


def test_a_typed_turn_has_no_voice_to_voice():
    measures = Measures()
    measures.feed(reported(), 1.0)
    assert measures.begins_to_sound("r1", 1.0, 1.0, typed=True) is None
    assert measures.begins_to_sound("r2", 2.0, 2.0, typed=False) is None


def test_parts_of_another_or_a_cut_reply_are_not_taken():
    measures = Measures()
    measures.feed(reported("other"), 1.0)
    assert measures.begins_to_sound("r1", 1.0, 1.0, typed=False) is None
    measures.feed(reported("r2"), 2.0)
    measures.feed(SpeechStarted(), 2.0)
    assert measures.begins_to_sound("r2", 2.0, 2.0, typed=False) is None
    measures.feed(ProviderEvent("local", "latency", {"response_id": "r3", "asr": "soon"}), 3.0)
    assert measures.begins_to_sound("r3", 3.0, 3.0, typed=False) is None


def test_summary_holds_what_was_said_heard_and_done():
    measures = Measures()
    measures.feed(ToolStarted("1", "clock", {"city": "Tokyo"}), 1.0)
    measures.feed(ToolStarted("2", "slow", {}), 1.0)
    measures.feed(ToolResult("1", "clock", False, "12:45", 0.25), 1.25)
    measures.feed(ToolCancelled("2", "slow", "interrupted"), 1.3)
    measures.feed(reported(), 2.0)
    measures.begins_to_sound("r1", 2.0, 2.004, typed=False)
    assert measures.summary([Message("user", "What time is it?"), CALL, Message("assistant", "It is")]) == {
        "event": "summary",
        "user": ["What time is it?"],
        "assistant": ["It is"],
        "tools": [
            {"name": "clock", "input": {"city": "Tokyo"}, "result": "12:45", "is_error": False, "elapsed_ms": 250.0},
            {"name": "slow", "input": {}, "cancelled": "interrupted"},
        ],
        "voice_to_voice_ms": [44.0],
        "latencies": [{"end_of_turn": 10.0, "asr": 10.0, "llm_first": 10.0, "tts_first": 10.0, "output": 4.0}],
    }
