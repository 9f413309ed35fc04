from __future__ import annotations

import pytest
from duologue.errors import UnsupportedFormat
from duologue.formats import AudioFormat, parse_format
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("audio/pcm", AudioFormat("audio/pcm", None, 2)),
        ("audio/pcm;rate=16000", AudioFormat("audio/pcm", 16000, 2)),
        (" Audio/PCM ; Rate = 24000 ", AudioFormat("audio/pcm", 24000, 2)),
        ("audio/pcm;channels=1;rate=48000", AudioFormat("audio/pcm", 48000, 2)),
        ("audio/l16;rate=8000", AudioFormat("audio/l16", 8000, 2)),
        ("audio/pcmu", AudioFormat("audio/pcmu", 8000, 1)),
        ("audio/pcma;rate=16000", AudioFormat("audio/pcma", 16000, 1)),
        ("audio/opus", AudioFormat("audio/opus", None, 0)),
        ("audio/pcm;rate=09999999", AudioFormat("audio/pcm", 9999999, 2)),
    ],
)
def test_media_types_are_read(media_type: str, expected: AudioFormat) -> None:
    assert parse_format(media_type) == expected


@pytest.mark.parametrize("media_type", ["", "pcm", "video/mp4", "text/plain;rate=8000"])
def test_what_is_no_audio_type_is_refused_and_an_example_given(media_type: str) -> None:
    with pytest.raises(UnsupportedFormat, match="is not an audio type such as 'audio/pcm;rate=16000'"):
        parse_format(media_type)


@pytest.mark.parametrize(
    "rate", ["", "0", "000", "-1", "1.5", "16k", "²", "10000000", pytest.param("9" * 5000, id="5000 digits")]
)
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(UnsupportedFormat, match="not a positive number of Hz"):
        parse_format(f"audio/pcm;rate={rate}")


@given(st.text(max_size=30).map(lambda text: f"audio/pcm;{text}"))
def test_no_media_type_of_a_peer_raises_anything_else(media_type: str) -> None:
    try:
        parsed = parse_format(media_type)
    except UnsupportedFormat:
        return
    assert parsed.rate is None or parsed.rate > 0


def test_the_size_of_audio_tells_its_time() -> None:
    assert parse_format("audio/pcm;rate=24000").duration_ms(48000, 16000) == 1000
    assert parse_format("audio/pcm").duration_ms(48000, 16000) == 1500, "the default rate is for a bare type"
    assert parse_format("audio/pcmu").duration_ms(800, 24000) == 100
    assert parse_format("audio/opus").duration_ms(800, 24000) == 0.0
