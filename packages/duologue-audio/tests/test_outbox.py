"""The speaker's queue: any pieces in, one stream at the device's rate out."""

import numpy as np
import pytest
from duologue import AudioBlock, AudioError, AudioOutputDelta, TextBlock, UnsupportedFormat
from duologue_audio.outbox import LONGEST_S, Outbox, Ready
from duologue_audio.playback import Utterance
from duologue_audio.sound import Sound, sound_of
from hypothesis import given
from hypothesis import strategies as st

ONE, TWO = Utterance("one"), Utterance("two")


def drain(outbox: Outbox, size: int = 1000) -> list[Ready]:
    taken = []
    while (ready := outbox.take(size)) is not None:
        assert len(ready.samples) <= size
        taken.append(ready)
    return taken


def joined(parts: list[Ready]) -> np.ndarray:
    return np.concatenate([part.samples for part in parts]) if parts else np.zeros((0, 1), np.int16)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=10), st.integers(1, 40))
def test_pieces_cut_anywhere_also_within_a_sample_come_out_whole(cuts, size):
    pcm = np.arange(1, 100, dtype="<i2").tobytes()
    outbox = Outbox(48000)
    at = 0
    for cut in cuts:
        outbox.put(Sound(pcm[at : at + cut], 48000, ONE))
        at = min(at + cut, len(pcm))
    assert joined(drain(outbox, size)).astype("<i2").tobytes() == pcm[: at // 2 * 2]


def test_half_a_sample_is_not_completed_by_another_utterance():
    outbox = Outbox(48000)
    outbox.put(Sound(b"\x01\x00\x02", 48000, ONE))
    outbox.put(Sound(b"\x03\x00", 48000, TWO))
    assert joined(drain(outbox))[:, 0].tolist() == [1, 3]


def test_utterances_are_converted_apart_and_the_end_of_each_comes_out():
    outbox = Outbox(48000)
    pcm = np.full(2400, 1000, "<i2").tobytes()
    outbox.put(Sound(pcm, 24000, ONE))
    outbox.put(Sound(pcm, 24000, TWO))
    parts = drain(outbox)
    outbox.finish()
    parts += drain(outbox)
    assert sum(len(part.samples) for part in parts if part.utterance == ONE) == 4800
    assert sum(len(part.samples) for part in parts if part.utterance == TWO) == 4800
    assert outbox.seconds == 0


def test_a_queue_that_is_full_takes_nothing_and_says_so():
    outbox = Outbox(48000)
    minute = Sound(bytes(60 * 16000), 8000, ONE)
    for _ in range(LONGEST_S // 60):
        outbox.put(minute)
    with pytest.raises(AudioError, match="900 s"):
        outbox.put(minute)
    assert outbox.seconds == pytest.approx(LONGEST_S)
    outbox.clear()
    assert outbox.seconds == 0
    assert outbox.take(10) is None


def test_another_device_gets_what_the_last_did_not_play_then_the_rest_at_its_own_rate():
    outbox = Outbox(48000)
    outbox.put(Sound(np.full(16000, 500, "<i2").tobytes(), 16000, ONE))
    outbox.put(Sound(np.full(1600, -500, "<i2").tobytes(), 16000, TWO))
    first = outbox.take(4800)
    assert first is not None
    outbox.move([Ready(first.samples, ONE)], 44100)
    parts = drain(outbox)
    outbox.finish()
    parts += drain(outbox)
    assert sum(len(part.samples) for part in parts if part.utterance == ONE) == pytest.approx(44100, abs=3)
    assert sum(len(part.samples) for part in parts if part.utterance == TWO) == pytest.approx(4410, abs=2)


def test_stereo_stays_stereo():
    outbox = Outbox(48000)
    outbox.put(Sound(np.array([[1, 2], [3, 4]], "<i2").tobytes() + b"\x05", 48000, ONE, 2))
    assert joined(drain(outbox)).tolist() == [[1, 2], [3, 4]]


def test_what_a_piece_says_of_itself_wins():
    delta = sound_of(AudioOutputDelta(b"ab", "audio/pcm;rate=16000", "r", "i"), 24000, 2, 7)
    assert delta == Sound(b"ab", 16000, Utterance("r", "i"), 1)
    assert sound_of(AudioBlock(b"ab"), 24000, 2, 7) == Sound(b"ab", 24000, Utterance("", "", 7), 1)
    assert sound_of(AudioBlock(b"ab", "audio/pcm;rate=8000;channels=2"), 24000, 1, 7).channels == 2
    assert sound_of(bytearray(b"ab"), 24000, 2, 7) == Sound(b"ab", 24000, Utterance("", "", 7), 2)


@pytest.mark.parametrize("media_type", ["audio/pcmu", "audio/mpeg", "audio/pcm;channels=6", "text/plain"])
def test_other_formats_are_refused_by_name(media_type):
    with pytest.raises(UnsupportedFormat, match=media_type.replace(";", ".")):
        sound_of(AudioBlock(b"ab", media_type), 24000, 1, 0)


def test_an_impossible_rate_is_refused():
    with pytest.raises(UnsupportedFormat, match="not 100"):
        Outbox(48000).put(Sound(b"ab", 100, ONE))


def test_what_is_no_audio_is_refused():
    with pytest.raises(TypeError, match="not TextBlock"):
        sound_of(TextBlock("hello"), 24000, 1, 0)
