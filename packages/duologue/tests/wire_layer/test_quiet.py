"""When a connection can be left without anybody noticing."""

import pytest
from duologue import (
    AudioOutputDelta,
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextDelta,
    ToolCancelled,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.events import GoingAway
from duologue.wire.quiet import ANSWER_WITHIN, PAUSE, SETTLES, SPEECH_LASTS, VOICE_HANGS, Quiet

LATER = 1e-3
OUTPUT = [
    AudioOutputDelta(b""),
    TextDelta(0, "a"),
    TranscriptDelta("assistant", "a"),
    ToolUseStart(0, "c", "t"),
    ToolUseEnd(0, "c"),
]


def test_a_session_in_which_nothing_happens_is_quiet():
    quiet = Quiet()
    quiet.event(GoingAway(1.0), 0.0)
    assert quiet.at(0.0)


@pytest.mark.parametrize("event", OUTPUT[:3], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("end", [TurnComplete(StopReason.end_turn), Interrupted()], ids=lambda e: type(e).__name__)
def test_a_reply_is_not_quiet_until_its_end_has_settled(event, end):
    quiet = Quiet()
    quiet.event(event, 0.0)
    assert quiet.replying
    assert not quiet.at(100.0)
    quiet.event(end, 100.0)
    assert not quiet.at(100.0 + SETTLES - LATER)
    assert quiet.at(100.0 + SETTLES + LATER)


def test_a_model_without_turns_is_quiet_when_it_pauses():
    quiet = Quiet(has_turns=False)
    quiet.event(OUTPUT[0], 0.0)
    assert not quiet.at(PAUSE - LATER)
    assert quiet.at(PAUSE + LATER)


def test_the_users_transcript_is_no_output():
    quiet = Quiet()
    quiet.event(TranscriptDelta("user", "hello"), 0.0)
    assert quiet.at(0.0)


@pytest.mark.parametrize("event", OUTPUT, ids=lambda e: type(e).__name__)
def test_a_question_is_awaited_until_something_of_the_answer_comes_or_nobody_waits_any_more(event):
    quiet = Quiet()
    quiet.asked(0.0)
    assert quiet.awaited is True
    assert not quiet.at(ANSWER_WITHIN - LATER)
    assert quiet.at(ANSWER_WITHIN + LATER)
    quiet.event(event, 1.0)
    assert quiet.awaited is False


def test_a_question_taken_back_is_not_awaited():
    quiet = Quiet()
    quiet.asked(0.0)
    quiet.stopped()
    assert quiet.at(0.0)


@pytest.mark.parametrize("end", ["answer", "cancel"])
def test_a_call_that_waits_for_its_answer_is_not_quiet(end):
    quiet = Quiet()
    for event in (ToolUseStart(0, "c", "t"), ToolUseEnd(0, "c"), TurnComplete(StopReason.tool_use)):
        quiet.event(event, 0.0)
    assert not quiet.at(100.0)
    if end == "answer":
        quiet.answered("c")
    else:
        quiet.event(ToolCancelled("c", "t", ""), 100.0)
    assert quiet.at(100.0)


def test_a_user_who_speaks_is_not_left():
    quiet = Quiet()
    quiet.event(SpeechStarted(), 0.0)
    assert not quiet.at(10.0)
    quiet.event(SpeechStopped(), 10.0)
    assert quiet.awaited is True
    assert not quiet.at(10.0)
    assert quiet.at(10.0 + ANSWER_WITHIN + LATER)


def test_speech_that_is_not_answered_is_over_with_its_end():
    quiet = Quiet(answers_speech=False)
    quiet.event(SpeechStarted(), 0.0)
    quiet.event(SpeechStopped(), 1.0)
    assert quiet.at(1.0)


def test_output_ends_the_users_speech_where_the_provider_does_not_say_so():
    quiet = Quiet()
    quiet.event(SpeechStarted(), 0.0)
    quiet.event(OUTPUT[0], 1.0)
    quiet.event(TurnComplete(StopReason.end_turn), 2.0)
    assert quiet.at(2.0 + SETTLES + LATER)


def test_a_loud_microphone_counts_for_a_moment():
    quiet = Quiet()
    quiet.voice(0.0)
    assert not quiet.at(VOICE_HANGS - LATER)
    assert quiet.at(VOICE_HANGS + LATER)


def test_with_the_connection_goes_what_it_was_about_but_not_the_question():
    quiet = Quiet()
    for event in (OUTPUT[0], ToolUseStart(0, "c", "t"), SpeechStarted()):
        quiet.event(event, 0.0)
    quiet.connection_gone()
    assert quiet.at(0.0)
    quiet.asked(1.0)
    quiet.connection_gone()
    assert quiet.awaited is True


def test_speech_that_never_ends_is_believed_for_a_while_only():
    quiet = Quiet()
    quiet.event(SpeechStarted(), 100.0)
    assert not quiet.at(100.0 + SPEECH_LASTS - 0.1)
    assert quiet.at(100.0 + SPEECH_LASTS)
