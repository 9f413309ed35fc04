"""The turn machine: cases, and properties over any sequence of probabilities."""

from __future__ import annotations

import pytest
from duologue_local import BargeIn
from duologue_local.turns import Began, Decision, Ended, Paused, Resumed, TurnMachine, TurnSettings, frames
from hypothesis import given
from hypothesis import strategies as st

YES, NO = 0.9, 0.1


def run(machine: TurnMachine, probabilities: list[float], playing_ms: float | None = None) -> list[Decision]:
    return [d for p in probabilities for d in machine.step(p, playing_ms)]


def test_three_frames_of_speech_begin_a_turn() -> None:
    machine = TurnMachine(TurnSettings())
    assert run(machine, [NO] * 20 + [YES, YES]) == []
    [began] = run(machine, [YES])
    assert began == Began(first=10, onset=20, cuts=False)


def test_a_gap_within_the_window_does_not_hinder() -> None:
    assert run(TurnMachine(TurnSettings()), [YES, NO, YES, YES]) == [Began(0, 0, False)]


def test_two_frames_far_apart_are_no_speech() -> None:
    assert run(TurnMachine(TurnSettings()), [YES, NO, NO, NO, YES, NO, NO, YES, NO, NO, YES]) == []


def test_a_turn_ends_after_320_ms_of_silence() -> None:
    machine = TurnMachine(TurnSettings())
    run(machine, [YES] * 10)
    assert run(machine, [NO] * 9) == [Paused(0, 15)]
    assert run(machine, [NO]) == [Ended(0, 15, 10, "silence", noise=False)]
    assert not machine.speaking


def test_speech_after_a_pause_resumes() -> None:
    machine = TurnMachine(TurnSettings())
    run(machine, [YES] * 10 + [NO] * 6)
    assert run(machine, [YES]) == [Resumed()]
    assert [type(d) for d in run(machine, [NO] * 10)] == [Paused, Ended]


def test_hysteresis_keeps_a_turn_going_that_would_not_have_begun() -> None:
    machine = TurnMachine(TurnSettings(threshold=0.5, release=0.35))
    assert run(machine, [0.4] * 50) == []
    run(machine, [YES] * 3)
    assert run(machine, [0.4] * 50) == []
    assert machine.speaking


def test_after_a_pause_it_takes_the_threshold_again() -> None:
    machine = TurnMachine(TurnSettings())
    run(machine, [YES] * 5 + [NO] * 5)
    assert [type(d) for d in run(machine, [0.4] * 5)] == [Ended]


def test_a_turn_longer_than_the_limit_is_ended() -> None:
    machine = TurnMachine(TurnSettings(max_turn_ms=320))
    decisions = run(machine, [YES] * 25)
    assert [d.reason for d in decisions if isinstance(d, Ended)] == ["limit", "limit"]


def test_little_speech_is_noise() -> None:
    machine = TurnMachine(TurnSettings(min_speech_ms=200))
    assert [d.noise for d in run(machine, [YES] * 3 + [NO] * 10) if isinstance(d, Ended)] == [True]
    assert [d.noise for d in run(machine, [YES] * 7 + [NO] * 10) if isinstance(d, Ended)] == [False]


def test_the_application_can_end_a_turn() -> None:
    machine = TurnMachine(TurnSettings())
    assert machine.end() == []
    run(machine, [YES] * 5)
    assert machine.end() == [Ended(0, 5, 5, "asked", noise=False)]


def test_what_was_cleared_does_not_come_back() -> None:
    machine = TurnMachine(TurnSettings())
    run(machine, [YES] * 20)
    machine.clear()
    assert not machine.speaking
    [began] = run(machine, [YES] * 3)
    assert isinstance(began, Began)
    assert began.first == 20


def test_a_turn_does_not_begin_in_the_audio_of_the_last() -> None:
    machine = TurnMachine(TurnSettings())
    [ended] = [d for d in run(machine, [YES] * 5 + [NO] * 10) if isinstance(d, Ended)]
    [began] = run(machine, [YES] * 3)
    assert isinstance(began, Began)
    assert began.first >= ended.last


@pytest.mark.parametrize(
    ("barge_in", "playing_ms", "cuts_after"),
    [
        (BargeIn(), 0.0, 3),
        (BargeIn(speech_ms=320, window_ms=480), 100.0, 10),
        (BargeIn(lockout_ms=500), 400.0, None),
        (BargeIn(lockout_ms=500), 500.0, 3),
        (BargeIn(min_audio_ms=640), 100.0, 20),
    ],
)
def test_barge_in_takes_what_it_is_told(barge_in: BargeIn, playing_ms: float, cuts_after: int | None) -> None:
    machine = TurnMachine(TurnSettings(barge_in=barge_in))
    began = [n for n in range(1, 30) for d in machine.step(YES, playing_ms) if isinstance(d, Began) and d.cuts]
    assert began == ([] if cuts_after is None else [cuts_after])


def test_speech_during_the_lockout_cuts_when_it_is_over() -> None:
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(lockout_ms=100)))
    decisions = [(n, d) for n in range(1, 10) for d in machine.step(YES, n * 32.0) if isinstance(d, Began)]
    assert [(n, d.cuts) for n, d in decisions] == [(4, True)]


@pytest.mark.parametrize("settings", [TurnSettings(interrupts=False), TurnSettings(barge_in=BargeIn(enabled=False))])
def test_without_barge_in_speech_begins_a_turn_and_cuts_nothing(settings: TurnSettings) -> None:
    assert run(TurnMachine(settings), [YES] * 3, 100.0) == [Began(0, 0, cuts=False)]


def test_frames_are_rounded_up() -> None:
    assert [frames(ms) for ms in (0, 1, 32, 33, 96, 160, 320)] == [0, 1, 1, 2, 3, 5, 10]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.34, 0.4, 0.6, 1.0]), st.none() | st.floats(0, 2000)), max_size=300),
    st.builds(
        TurnSettings,
        end_silence_ms=st.integers(1, 600),
        speculate_ms=st.integers(0, 300),
        prefix_ms=st.integers(0, 500),
        max_turn_ms=st.integers(33, 3000),
        barge_in=st.builds(BargeIn, speech_ms=st.integers(0, 160), lockout_ms=st.integers(0, 300)),
    ),
    st.sets(st.integers(0, 300), max_size=3),
)
def test_turns_are_well_formed(
    steps: list[tuple[float, float | None]], settings: TurnSettings, asked: set[int]
) -> None:
    """Began, then pauses and resumptions in turn, then Ended; audio in order, never used twice, never unkept."""
    machine = TurnMachine(settings)
    state, used_to, first = "silent", 0, 0
    for number, (probability, playing_ms) in enumerate(steps):
        kept = machine.keep
        decisions = machine.step(probability, playing_ms)
        if number in asked:
            decisions = [*decisions, *machine.end()]
        for decision in decisions:
            match decision:
                case Began():
                    assert state == "silent"
                    assert used_to <= decision.first <= decision.onset < machine.now
                    assert decision.first >= min(kept, decision.onset)
                    assert not decision.cuts or playing_ms is not None
                    state, first = "speaking", decision.first
                case Paused():
                    assert state == "speaking"
                    assert (decision.first, decision.last) == (first, machine.now)
                    state = "paused"
                case Resumed():
                    assert state == "paused"
                    state = "speaking"
                case Ended():
                    assert state in ("speaking", "paused")
                    assert decision.first == first
                    assert first < decision.speech_end <= decision.last <= machine.now
                    state, used_to = "silent", decision.last
        assert machine.speaking == (state != "silent")
        if machine.speaking:
            assert machine.now - first <= frames(settings.max_turn_ms) + frames(settings.prefix_ms) + 10
