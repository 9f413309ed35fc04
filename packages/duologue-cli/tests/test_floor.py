import pytest
from duologue.errors import DuologueError
from duologue.events import (
    AudioOutputDelta,
    Interrupted,
    Problem,
    SpeechStarted,
    SpeechStopped,
    ToolCancelled,
    ToolProgress,
    ToolResult,
    ToolStarted,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import StopReason
from duologue_cli.floor import PAUSE_S, SETTLE_S, SILENCE_S, Floor, Verdict
from hypothesis import given
from hypothesis import strategies as st

WAITING, ANSWERED, UNANSWERED = Verdict.waiting, Verdict.answered, Verdict.unanswered


def audio(response="r1"):
    return AudioOutputDelta(b"\0\0", response_id=response)


def complete(reason=StopReason.end_turn, response="r1"):
    return TurnComplete(reason, response_id=response)


def floor_after(*events, has_turns=True):
    """A floor on which a turn lasted from 0 to 1 s and these events came at 2 s."""
    floor = Floor(has_turns=has_turns)
    floor.begin(0.0)
    floor.end(1.0)
    for event in events:
        floor.feed(event, 2.0)
    return floor


def test_the_next_turn_waits_until_the_reply_was_played_and_a_pause():
    floor = floor_after(audio(), complete())
    assert floor.verdict(2.0 + PAUSE_S, 3.0) is WAITING
    assert floor.verdict(3.0 + PAUSE_S - 0.01, 3.0) is WAITING
    assert floor.verdict(3.0 + PAUSE_S, 3.0) is ANSWERED


def test_a_reply_whose_end_is_never_told_ends_by_deadline():
    assert floor_after(audio()).verdict(3.0 + SILENCE_S - 0.01, 3.0) is WAITING
    assert floor_after(audio()).verdict(3.0 + SILENCE_S, 3.0) is ANSWERED


def test_a_model_without_turns_is_done_when_it_has_been_silent_a_while():
    floor = floor_after(audio(), has_turns=False)
    assert floor.verdict(3.0 + SETTLE_S - 0.01, 3.0) is WAITING
    assert floor.verdict(3.0 + SETTLE_S, 3.0) is ANSWERED


def test_nobody_answers():
    floor = floor_after()
    assert floor.verdict(1.0 + SILENCE_S - 0.01, 0.0) is WAITING
    assert floor.verdict(1.0 + SILENCE_S, 0.0) is UNANSWERED


def test_what_was_understood_is_no_answer():
    floor = floor_after(SpeechStarted(), SpeechStopped(), TranscriptDelta("user", "hello", final=True))
    assert floor.verdict(2.0 + SILENCE_S, 0.0) is UNANSWERED


def test_a_running_tool_is_waited_for():
    floor = floor_after(audio(), ToolStarted("c", "t", {}), complete(StopReason.tool_use))
    assert floor.verdict(1000.0, 3.0) is WAITING
    floor.feed(ToolResult("c", "t", False), 1000.0)
    assert floor.verdict(1000.0 + SILENCE_S - 0.01, 3.0) is WAITING
    assert floor.verdict(1000.0 + SILENCE_S, 3.0) is ANSWERED
    cancelled = floor_after(ToolStarted("c", "t", {}), ToolCancelled("c", "t", "interrupted"))
    assert cancelled.verdict(2.0 + SILENCE_S, 0.0) is UNANSWERED


def test_the_end_of_a_turn_that_only_called_a_tool_is_not_the_end_of_the_reply():
    floor = floor_after(audio(), complete(StopReason.tool_use))
    assert floor.verdict(3.0 + PAUSE_S, 3.0) is WAITING
    floor.feed(audio("r2"), 4.0)
    floor.feed(complete(response="r2"), 4.0)
    assert floor.verdict(4.01 + PAUSE_S, 3.0) is ANSWERED


def test_speech_in_two_parts_needs_an_answer_to_the_second():
    floor = floor_after(audio(), SpeechStarted(), Interrupted("r1"), complete(StopReason.interrupted))
    assert floor.verdict(2.0 + PAUSE_S, 2.0) is WAITING
    floor.feed(audio("r2"), 3.0)
    floor.feed(complete(response="r2"), 3.0)
    assert floor.verdict(3.0 + PAUSE_S, 3.0) is ANSWERED


def test_a_reply_that_failed_is_given_up_at_once():
    floor = floor_after(complete(StopReason.error))
    assert floor.verdict(2.0 + PAUSE_S, 0.0) is UNANSWERED


def test_the_rest_of_the_reply_that_is_cut_into_is_no_answer():
    floor = floor_after(audio())
    floor.begin(3.0)
    floor.feed(audio(), 3.1)
    floor.sounds("r1", 3.1)
    floor.feed(complete(), 3.2)
    floor.end(4.0)
    assert floor.audible_at is None
    assert floor.verdict(4.0 + SILENCE_S, 3.5) is UNANSWERED


def test_the_reply_becomes_audible_once():
    floor = floor_after(audio())
    floor.sounds("r1", 2.5)
    floor.sounds("r1", 2.9)
    assert floor.audible_at == 2.5
    floor.feed(SpeechStarted(), 3.0)
    assert floor.audible_at is None


def test_a_new_turn_waits_for_its_own_answer():
    floor = floor_after(audio(), complete())
    floor.begin(4.0)
    floor.end(5.0)
    assert floor.verdict(4.9 + SILENCE_S, 3.0) is WAITING
    assert floor.verdict(5.0 + SILENCE_S, 3.0) is UNANSWERED


@pytest.mark.parametrize(
    "event",
    [
        SpeechStarted(),
        SpeechStopped(),
        TranscriptDelta("user", "hello"),
        ToolUseStart(0, "c", "t"),
        ToolProgress("c", "t", "half"),
        ToolResult("c", "t", False),
        complete(StopReason.tool_use),
    ],
)
def test_while_something_happens_the_silence_does_not_count(event):
    floor = floor_after()
    floor.feed(event, 15.0)
    assert floor.verdict(14.9 + SILENCE_S, 0.0) is WAITING
    assert floor.verdict(15.0 + SILENCE_S, 0.0) is UNANSWERED


def test_speech_without_sound_counts_from_its_last_piece():
    floor = floor_after(audio(), has_turns=False)
    floor.feed(audio(), 5.0)
    assert floor.verdict(4.9 + SETTLE_S, 0.0) is WAITING
    assert floor.verdict(5.0 + SETTLE_S, 0.0) is ANSWERED


def test_speech_after_the_end_of_a_turn_is_another_part_of_the_reply():
    assert floor_after(audio(), complete(), audio("r2")).verdict(2.1 + PAUSE_S, 2.0) is WAITING
    failed = floor_after(complete(StopReason.error), audio("r2"))
    assert failed.verdict(2.1 + PAUSE_S, 2.0) is WAITING


def test_the_user_who_speaks_after_a_failure_is_waited_for():
    assert floor_after(complete(StopReason.error), SpeechStarted()).verdict(2.1 + PAUSE_S, 0.0) is WAITING


@pytest.mark.parametrize("has_turns", [True, False])
def test_the_user_who_speaks_on_is_owed_an_answer(has_turns):
    floor = floor_after(audio(), complete(), SpeechStarted(), has_turns=has_turns)
    assert floor.verdict(2.1 + SETTLE_S, 2.0) is WAITING
    assert floor.verdict(2.0 + SILENCE_S, 2.0) is ANSWERED  # there was one, if not to all of it


def test_the_end_of_the_reply_that_is_cut_into_ends_nothing():
    floor = floor_after(audio())
    floor.begin(3.0)
    floor.end(4.0)
    floor.feed(audio("r2"), 5.0)
    floor.feed(complete(response="r1"), 5.0)
    assert floor.verdict(6.1 + PAUSE_S, 6.0) is WAITING


events = st.sampled_from(
    [
        audio("r1"),
        audio("r2"),
        audio(""),
        TranscriptDelta("assistant", "a", item_id="i"),
        TranscriptDelta("user", "u"),
        SpeechStarted(),
        SpeechStopped(),
        Interrupted("r1"),
        ToolStarted("c", "t", {}),
        ToolResult("c", "t", False),
        Problem(DuologueError("x")),
        *(complete(reason) for reason in StopReason),
    ]
)


@given(st.booleans(), st.lists(st.tuples(st.floats(0, 3), events | st.just("begin") | st.just("end")), max_size=30))
def test_every_turn_ends_in_bounded_time_whatever_comes(has_turns, moves):
    floor = Floor(has_turns=has_turns)
    floor.begin(0.0)
    now, running = 0.0, False
    for advance, what in moves:
        now += advance
        if what == "begin":
            floor.begin(now)
        elif what == "end":
            floor.end(now)
        else:
            running = isinstance(what, ToolStarted) or (running and not isinstance(what, ToolResult))
            floor.feed(what, now)
    assert floor.verdict(now + 1.0, now + 2.0) is WAITING  # the speaker still plays
    assert (floor.verdict(now + SILENCE_S + 0.01, now) is WAITING) == running
