from __future__ import annotations

import math
import struct
from typing import Any, ClassVar

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]
from duologue import AudioBlock, AudioOutputDelta, UnsupportedFormat
from duologue.formats import parse_format
from duologue.rates import InputConverter, OutputConverter, find_resampler
from duologue.testing import tone


class Soxr:
    """What a package with a resampler offers."""

    made: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, from_rate: int, to_rate: int) -> None:
        Soxr.made.append((from_rate, to_rate))
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16")

    def process(self, pcm: bytes) -> bytes:
        return bytes(self._stream.resample_chunk(np.frombuffer(pcm, "<i2")).tobytes())

    def flush(self) -> bytes:
        return bytes(self._stream.resample_chunk(np.zeros(0, np.int16), last=True).tobytes())


class Point:
    name = "soxr"

    def load(self) -> type[Soxr]:
        return Soxr


@pytest.fixture
def resampler(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """A resampler is installed; the list says which streams were made."""

    def found(*, group: str) -> list[Any]:
        assert group == "duologue.resampler"
        return [Point()]

    monkeypatch.setattr("importlib.metadata.entry_points", found)
    monkeypatch.setattr(Soxr, "made", [])
    return Soxr.made


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [])


def pitch(pcm: bytes, rate: int) -> float:
    """The loudest frequency, in Hz."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum)) * rate / (1 << 18)


def largest_step(pcm: bytes) -> int:
    return int(np.abs(np.diff(np.frombuffer(pcm, "<i2").astype(int))).max())


# -- finding one ----------------------------------------------------------------------------------------


def test_the_installed_resampler_is_found(resampler: list[tuple[int, int]]) -> None:
    assert find_resampler() is Soxr


@pytest.mark.usefixtures("nothing_installed")
def test_without_a_resampler_the_package_to_install_is_named() -> None:
    with pytest.raises(UnsupportedFormat, match="`pip install duologue-audio`"):
        find_resampler()
    with pytest.raises(UnsupportedFormat, match="`pip install duologue-audio`"):
        InputConverter("audio/pcm;rate=48000", (16000,)).convert(AudioBlock(bytes(960)))
    with pytest.raises(UnsupportedFormat, match="`pip install duologue-audio`"):
        OutputConverter("audio/pcm;rate=48000", 24000).convert(AudioOutputDelta(bytes(960)))


@pytest.mark.usefixtures("nothing_installed")
def test_audio_at_the_right_rate_needs_none() -> None:
    converter = InputConverter("audio/pcm;rate=16000", (24000, 16000))
    assert converter.convert(AudioBlock(b"\x01\x00")) == AudioBlock(b"\x01\x00", "audio/pcm;rate=16000")
    for rate in (16000, 24000):
        own = AudioBlock(b"\x01\x00", f"audio/pcm;rate={rate}")
        assert converter.convert(own) is own
    said = AudioOutputDelta(b"\x01\x00")
    assert OutputConverter("audio/pcm;rate=24000", 16000).convert(said) is said
    bare = AudioOutputDelta(b"\x01\x00", "audio/pcm")
    assert OutputConverter("audio/pcm;rate=16000", 16000).convert(bare) is bare, "a bare type has the session's rate"


# -- input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
@pytest.mark.parametrize("piece", [2, 318, 4096])
def test_the_users_audio_keeps_its_pitch_and_length_in_pieces_of_any_size(
    resampler: list[tuple[int, int]], rate: int, piece: int
) -> None:
    converter = InputConverter(f"audio/pcm;rate={rate}", (16000, 99000))
    spoken = tone(500, rate=rate, hz=440)
    blocks = [converter.convert(AudioBlock(spoken[i : i + piece])) for i in range(0, len(spoken), piece)]
    heard = b"".join(block.data for block in blocks if block is not None)
    assert {b.media_type for b in blocks if b is not None} == {"audio/pcm;rate=16000"}
    assert all(block is None or block.data for block in blocks)
    assert resampler == [(rate, 16000)], "one stream, so that blocks join without clicks"
    assert pitch(heard, 16000) == pytest.approx(440, abs=1.5)
    assert 400 < len(heard) / 32 <= 500, "only the filter's delay is held back"
    assert largest_step(heard) < 6000 * 2 * math.pi * 440 / 16000 * 1.3, "a click"


def test_a_block_wins_over_what_was_agreed_and_the_agreed_rate_over_the_sessions(
    resampler: list[tuple[int, int]],
) -> None:
    converter = InputConverter("audio/pcm;rate=48000", (16000,))
    converter.convert(AudioBlock(bytes(960)))
    converter.convert(AudioBlock(bytes(960), "audio/pcm;rate=44100"))
    assert resampler == [(48000, 16000), (44100, 16000)]
    open_rate = InputConverter("audio/pcm", (16000,))
    assert open_rate.convert(AudioBlock(b"\x01\x00")) == AudioBlock(b"\x01\x00", "audio/pcm;rate=16000")


def test_audio_at_a_native_rate_ends_the_converted_stream(resampler: list[tuple[int, int]]) -> None:
    converter = InputConverter("audio/pcm;rate=48000", (16000,))
    converter.convert(AudioBlock(bytes(960)))
    converter.convert(AudioBlock(bytes(960), "audio/pcm;rate=16000"))
    converter.convert(AudioBlock(bytes(960)))
    assert resampler == [(48000, 16000)] * 2


@pytest.mark.parametrize("media_type", ["audio/pcm", "audio/pcm;rate=16000", "audio/pcm;rate=48000"])
def test_half_a_sample_is_refused(resampler: list[tuple[int, int]], media_type: str) -> None:
    with pytest.raises(UnsupportedFormat, match="an audio block of 3 bytes is no PCM16: a sample has 2 bytes"):
        InputConverter("audio/pcm;rate=16000", (16000,)).convert(AudioBlock(b"\x00\x01\x02", media_type))


@pytest.mark.parametrize("media_type", ["audio/pcmu", "audio/pcma;rate=8000", "audio/opus"])
@pytest.mark.usefixtures("nothing_installed")
def test_other_encodings_are_left_to_the_session(media_type: str) -> None:
    block = AudioBlock(b"\x01", media_type)
    for rates in ((16000,), ()):
        assert InputConverter("audio/pcm;rate=16000", rates).convert(block) is block


def test_what_is_no_audio_is_refused() -> None:
    with pytest.raises(UnsupportedFormat, match="'image/png' is not an audio type"):
        InputConverter("audio/pcm", (16000,)).convert(AudioBlock(b"", "image/png"))
    with pytest.raises(UnsupportedFormat, match="not an audio type"):
        InputConverter("pcm16", (16000,))
    with pytest.raises(UnsupportedFormat, match="not an audio type"):
        OutputConverter("pcm16", 24000)


def test_a_session_without_audio_says_so() -> None:
    with pytest.raises(UnsupportedFormat, match="the session takes no audio"):
        InputConverter("audio/pcm", ()).convert(AudioBlock(bytes(2)))


@pytest.mark.parametrize("rate", [8000, 48000])
def test_the_end_of_a_turn_brings_out_what_was_held_back(resampler: list[tuple[int, int]], rate: int) -> None:
    converter = InputConverter("audio/pcm", (16000,))
    assert converter.rest() is None
    for turn in (1, 2):
        block = converter.convert(AudioBlock(tone(500, rate=rate), f"audio/pcm;rate={rate}"))
        rest = converter.rest()
        assert block is not None
        assert rest is not None
        assert rest.media_type == "audio/pcm;rate=16000"
        assert (len(block.data) + len(rest.data)) / 32 == pytest.approx(500, abs=0.5), "nothing is lost"
        assert resampler == [(rate, 16000)] * turn
        assert converter.rest() is None, "the rest comes once"


def test_the_end_of_a_turn_without_conversion_has_no_rest(
    monkeypatch: pytest.MonkeyPatch, resampler: list[tuple[int, int]]
) -> None:
    converter = InputConverter("audio/pcm;rate=16000", (16000,))
    converter.convert(AudioBlock(bytes(960)))
    assert converter.rest() is None
    monkeypatch.setattr(Soxr, "flush", lambda _: b"")
    converter.convert(AudioBlock(bytes(960), "audio/pcm;rate=8000"))
    assert converter.rest() is None


# -- output ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 3, 777, 4800])
def test_the_assistants_speech_keeps_its_pitch_and_length_wherever_it_is_cut(
    resampler: list[tuple[int, int]], piece: int
) -> None:
    """Pieces may end within a sample: half of it waits for the other half."""
    converter = OutputConverter("audio/pcm;rate=48000", 24000)
    spoken = tone(300, rate=24000, hz=440)
    out = [
        converter.convert(AudioOutputDelta(spoken[i : i + piece], response_id="r", item_id="i"))
        for i in range(0, len(spoken), piece)
    ]
    rest = converter.rest("r")
    assert rest is not None
    assert {(e.media_type, e.response_id) for e in [*out, rest]} == {("audio/pcm;rate=48000", "r")}
    assert {e.item_id for e in out} == {"i"}
    heard = b"".join(e.data for e in [*out, rest])
    assert resampler == [(24000, 48000)]
    assert len(heard) / 96 == pytest.approx(300, abs=0.5), "nothing is lost"
    assert pitch(heard, 48000) == pytest.approx(440, abs=1.5)
    assert converter.rest("r") is None, "the rest comes once"


def test_a_reply_is_a_stream_of_its_own(resampler: list[tuple[int, int]]) -> None:
    converter = OutputConverter("audio/pcm;rate=8000", 24000)
    converter.convert(AudioOutputDelta(tone(100) + b"\x7f", response_id="one"))
    data = converter.convert(AudioOutputDelta(bytes(9600), response_id="two")).data
    assert resampler == [(24000, 8000)] * 2
    assert data
    assert np.abs(np.frombuffer(data, "<i2")).max() < 3, "the second reply begins with the end of the first"
    assert converter.rest("one") is None
    assert converter.rest("two") is not None
    converter.convert(AudioOutputDelta(bytes(960), "audio/pcm;rate=16000", response_id="three"))
    converter.convert(AudioOutputDelta(bytes(960), "audio/pcm;rate=24000", response_id="three"))
    assert resampler[2:] == [(16000, 8000), (24000, 8000)]


def test_without_conversion_there_is_no_rest() -> None:
    converter = OutputConverter("audio/pcm;rate=24000", 24000)
    converter.convert(AudioOutputDelta(bytes(960), response_id="r"))
    assert converter.rest("r") is None


def test_a_rest_that_is_empty_is_none(monkeypatch: pytest.MonkeyPatch, resampler: list[tuple[int, int]]) -> None:
    monkeypatch.setattr(Soxr, "flush", lambda _: b"")
    converter = OutputConverter("audio/pcm;rate=8000", 24000)
    converter.convert(AudioOutputDelta(bytes(960), response_id="r"))
    assert converter.rest("r") is None


@pytest.mark.parametrize(
    ("wanted", "media_type", "fits"),
    [
        ("audio/pcm;rate=24000", "audio/pcm", True),
        ("audio/pcm;rate=24000", "audio/pcm;rate=24000", True),
        ("audio/pcm;rate=24000", "audio/pcm;rate=16000", False),
        ("audio/pcm;rate=16000", "audio/pcm", False),
        ("audio/pcm", "audio/pcm;rate=8000", True),
        ("audio/pcm;rate=24000", "audio/pcmu", True),
        ("audio/pcm;rate=24000", "audio/opus", True),
    ],
)
def test_what_fits_goes_through(wanted: str, media_type: str, fits: bool) -> None:
    assert OutputConverter(wanted, 24000).fits(parse_format(media_type)) is fits


def test_what_went_through_once_is_no_promise_for_other_types(resampler: list[tuple[int, int]]) -> None:
    converter = OutputConverter("audio/pcm;rate=24000", 24000)
    for media_type, expected in (("audio/pcm", True), ("audio/pcm;rate=8000", False), ("audio/pcm", True)):
        event = AudioOutputDelta(struct.pack("<1600h", *range(1600)), media_type, "r")
        assert (converter.convert(event) is event) is expected


def test_a_piece_without_a_type_is_refused() -> None:
    with pytest.raises(UnsupportedFormat):
        OutputConverter("audio/pcm;rate=24000", 24000).convert(AudioOutputDelta(b"", ""))


def test_speech_in_another_encoding_than_the_wanted_one_is_refused() -> None:
    converter = OutputConverter("audio/pcmu", 24000)
    with pytest.raises(UnsupportedFormat, match="output_audio_format"):
        converter.convert(AudioOutputDelta(b"\0\0"))
    assert converter.convert(AudioOutputDelta(b"\xff", "audio/pcmu")).data == b"\xff"
