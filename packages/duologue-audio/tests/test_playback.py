"""The ledger of the speaker: heard is what left it, and never more than came in."""

from duologue_audio.backend import PlayedBlock
from duologue_audio.playback import REMEMBERED, Position, SegmentTable, Utterance
from hypothesis import given
from hypothesis import strategies as st

RATE = 48000
BLOCK = 480
ONE, TWO = Utterance("one", "a"), Utterance("two", "b")


def table_with(*runs: tuple[Utterance, int]) -> SegmentTable:
    table = SegmentTable()
    for utterance, frames in runs:
        table.received(utterance, frames / 48)
        table.add(frames, RATE, utterance)
    return table


def test_frames_count_as_heard_at_their_time_not_when_the_device_takes_them():
    table = table_with((ONE, 960))
    table.played([PlayedBlock(1.0, 0, 480), PlayedBlock(1.01, 480, 480)])
    assert table.position(0.999) == Position("one", "a", 0)
    assert table.position(1.004) == Position("one", "a", 4)
    assert table.position(1.015) == Position("one", "a", 15)
    assert table.position(9.0) == Position("one", "a", 20)


def test_the_silence_of_an_underrun_is_not_heard():
    table = table_with((ONE, 600))
    table.played([PlayedBlock(1.0, 0, 480), PlayedBlock(1.01, 480, 0), PlayedBlock(1.5, 480, 120)])
    assert table.position(1.3).heard_ms == 10
    assert table.position(1.501).heard_ms == 11
    assert table.position(2.0).heard_ms == 12


def test_a_response_that_is_cut_before_it_began_stays_the_one_that_was_cut():
    table = table_with((ONE, 1), (TWO, 1))
    table.played([PlayedBlock(0.0, 0, 1)])
    assert table.cut(0.5) == table.position(9.0) == Position("two", "b", 0)


def test_a_response_that_waits_is_the_current_one_once_the_one_before_it_is_over():
    table = table_with((ONE, 480), (TWO, 480))
    table.played([PlayedBlock(1.0, 0, 480)])
    assert table.position(1.005) == Position("one", "a", 5)
    assert table.position(1.02) == Position("two", "b", 0)


def test_a_response_that_was_received_and_not_yet_converted_is_the_current_one():
    table = table_with((ONE, 480))
    table.played([PlayedBlock(1.0, 0, 480)])
    table.position(2.0)
    table.received(TWO, 3.0)
    assert table.position(2.0) == Position("two", "b", 0)


def test_after_a_cut_the_tail_in_the_device_does_not_count():
    table = table_with((ONE, 4800))
    table.played([PlayedBlock(1.0 + n / 100, n * 480, 480) for n in range(4)])
    assert table.cut(1.015) == Position("one", "a", 15)
    assert table.position(5.0) == Position("one", "a", 15)
    assert table.end == 4800


def test_what_follows_a_cut_is_counted_from_its_own_start():
    table = table_with((ONE, 4800))
    table.played([PlayedBlock(1.0, 0, 480)])
    table.cut(1.005)
    table.received(TWO, 10.0)
    table.add(480, RATE, TWO)
    table.played([PlayedBlock(1.01, 480, 480), PlayedBlock(1.02, 4800, 480)])
    assert table.position(1.021) == Position("two", "b", 1)
    assert table.position(3.0) == Position("two", "b", 10)


def test_a_response_that_goes_on_after_another_keeps_its_count():
    table = table_with((ONE, 480), (TWO, 480), (ONE, 480))
    table.played([PlayedBlock(1.0 + n / 100, n * 480, 480) for n in range(3)])
    assert table.position(1.025) == Position("one", "a", 15)


def test_nameless_utterances_are_told_apart_by_their_turn():
    table = table_with((Utterance("", "", 1), 480), (Utterance("", "", 2), 480))
    table.played([PlayedBlock(1.0, 0, 480), PlayedBlock(1.01, 480, 480)])
    assert table.position(1.014) == Position("", "", 4)


def test_no_more_is_heard_than_came_in_however_a_converter_rounds():
    table = SegmentTable()
    table.received(ONE, 9.5)
    table.add(480, RATE, ONE)
    table.played([PlayedBlock(1.0, 0, 480)])
    assert table.position(2.0).heard_ms == 9


def test_frames_a_lost_device_never_took_are_given_back_in_order():
    table = table_with((ONE, 700), (TWO, 300))
    table.played([PlayedBlock(1.0, 0, 480)])
    assert table.requeue(520) == [(220, ONE), (300, TWO)]
    table.restart()
    assert table.end == 0
    table.add(220, 44100, ONE)
    table.played([PlayedBlock(2.0, 0, 220)])
    assert table.position(3.0) == Position("one", "a", 14)


def test_only_the_newest_responses_are_remembered():
    table = SegmentTable()
    for number in range(3 * REMEMBERED):
        utterance = Utterance(str(number))
        table.received(utterance, 10.0)
        table.add(480, RATE, utterance)
        table.played([PlayedBlock(float(number), number * 480, 480)])
    table.position(1e6)
    assert len(table._heard) == len(table._received) == REMEMBERED


@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(1, 2000)), min_size=1, max_size=6),
    st.lists(st.integers(0, BLOCK), max_size=30),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=8),
    st.booleans(),
)
def test_heard_grows_with_time_and_stays_within_what_was_received_and_played(runs, takes, times, cut):
    table = table_with(*runs)
    total = sum(frames for _, frames in runs)
    first = 0
    for number, wanted in enumerate(takes):
        frames = min(wanted, total - first)
        table.played([PlayedBlock(number / 100, first, frames)])
        first += frames
    received = {u: sum(n for v, n in runs if v == u) / 48 for u in (ONE, TWO)}
    heard = {"one": 0, "two": 0}
    for now in sorted(times):
        position = table.position(now)
        assert position.heard_ms >= heard[position.response_id]
        heard[position.response_id] = position.heard_ms
        assert position.heard_ms <= received[ONE if position.response_id == "one" else TWO]
        assert sum(heard.values()) <= min(first / 48, now * 1000) + 1e-6
    if cut:
        at = table.cut(max(times))
        assert table.position(1e9) == at
