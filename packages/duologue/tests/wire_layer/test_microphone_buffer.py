"""Microphone audio that waits: bounded, oldest first, from the first loud block."""

import array

import pytest
from duologue import AudioBlock
from duologue.wire.microphone_buffer import LEAD_MS, LOUD, MicrophoneBuffer, is_loud
from hypothesis import given
from hypothesis import strategies as st


def block(ms=20, level=0, rate=16000):
    return AudioBlock(array.array("h", [level] * (rate * ms // 1000)).tobytes(), f"audio/pcm;rate={rate}")


def numbered(number):
    """A quiet block of 20 ms that can be told from others."""
    return block(level=number)


def test_blocks_come_out_in_order():
    buffer = MicrophoneBuffer(1.0)
    for number in range(5):
        assert buffer.keep(numbered(number)) == 0
    assert len(buffer) == 5
    assert buffer.ms == pytest.approx(100)
    assert [buffer.pop() for _ in range(5)] == [numbered(n) for n in range(5)]
    assert (len(buffer), buffer.ms) == (0, 0.0)


def test_the_oldest_go_first_and_are_counted():
    buffer = MicrophoneBuffer(0.1)
    gone = [buffer.keep(numbered(n)) for n in range(8)]
    assert gone == [0] * 5 + [1] * 3
    assert buffer.dropped == 3
    assert buffer.pop() == numbered(3)


def test_a_block_longer_than_the_limit_is_kept_alone():
    buffer = MicrophoneBuffer(0.1)
    buffer.keep(block(20))
    assert buffer.keep(block(500)) == 1
    assert len(buffer) == 1


def test_what_was_cleared_was_not_dropped():
    buffer = MicrophoneBuffer(0.1)
    buffer.keep(block())
    buffer.clear()
    assert (len(buffer), buffer.ms, buffer.dropped) == (0, 0.0, 0)


def test_a_rate_in_the_media_type_counts_else_that_of_the_session():
    buffer = MicrophoneBuffer(1.0, default_rate=8000)
    buffer.keep(AudioBlock(bytes(1600)))
    assert buffer.ms == pytest.approx(100)
    buffer.keep(block(20, rate=48000))
    assert buffer.ms == pytest.approx(120)


@pytest.mark.parametrize("media_type", ["audio/opus", "audio/pcm;rate=16000"])
def test_audio_whose_length_nobody_knows_is_bounded_too(media_type):
    buffer = MicrophoneBuffer(1.0)
    for number in range(10_000):
        buffer.keep(AudioBlock(bytes(number % 2), media_type))
    assert len(buffer) <= 1000


@given(st.lists(st.integers(1, 400), max_size=60), st.floats(0.05, 2.0))
def test_never_more_than_the_limit_and_never_a_hole(lengths, limit):
    buffer = MicrophoneBuffer(limit)
    kept = [block(ms, level=n) for n, ms in enumerate(lengths)]
    for one in kept:
        buffer.keep(one)
        assert buffer.ms <= limit * 1000 + 1e-6 or len(buffer) == 1
    assert buffer.dropped + len(buffer) == len(kept)
    assert [buffer.pop() for _ in range(len(buffer))] == kept[buffer.dropped :]


def test_speech_begins_a_little_before_its_first_loud_block():
    buffer = MicrophoneBuffer(10.0)
    quiet, loud = [numbered(n) for n in range(40)], [block(level=9000 + n) for n in range(3)]
    for one in quiet + loud:
        buffer.keep(one)
    lead = int(LEAD_MS / 20)
    assert buffer.from_first_loud() == quiet[-lead:] + loud
    assert len(buffer) == 43


def test_speech_at_the_very_beginning_has_no_lead():
    buffer = MicrophoneBuffer(10.0)
    buffer.keep(block(level=9000))
    assert buffer.from_first_loud() == [block(level=9000)]


def test_where_nobody_spoke_nothing_is_sent_again():
    buffer = MicrophoneBuffer(10.0)
    assert buffer.from_first_loud() == []
    buffer.keep(block())
    assert buffer.from_first_loud() == []


def test_loud_is_what_may_be_speech():
    assert is_loud(block(level=LOUD + 1))
    assert is_loud(block(level=-LOUD - 1))
    assert not is_loud(block(level=LOUD))
    assert not is_loud(block(level=-LOUD))
    assert not is_loud(AudioBlock(b""))
    assert is_loud(AudioBlock(b"\xff\x7f\x00"))  # half a sample too many
    assert is_loud(AudioBlock(b"\x00", "audio/pcmu"))
    assert is_loud(AudioBlock(b"\x00", "audio/opus"))
