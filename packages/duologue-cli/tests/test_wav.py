import struct
from pathlib import Path

import numpy as np
import pytest
from duologue.errors import ConfigurationError
from duologue_cli.wav import Sound, decode_wav, read_wav
from hypothesis import given
from hypothesis import strategies as st

ENCODINGS = {"u8": (1, 8), "i16": (1, 16), "i24": (1, 24), "i32": (1, 32), "f32": (3, 32), "f64": (3, 64)}


def encode(samples, name):
    code, bits = ENCODINGS[name]
    if code == 3:
        return samples.astype(f"<f{bits // 8}").tobytes()
    whole = np.clip(np.rint(samples * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype("<i8")
    if bits == 8:
        return (whole + 128).astype(np.uint8).tobytes()
    return whole.view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes()


def wav(body, *, code=1, channels=1, rate=16000, bits=16, align=None, extra=b"", size=None, before=b""):
    align = channels * bits // 8 if align is None else align
    form = struct.pack("<HHIIHH", code, channels, rate, rate * align, align, bits) + extra
    data = b"data" + struct.pack("<I", len(body) if size is None else size) + body
    chunks = before + b"fmt " + struct.pack("<I", len(form)) + form + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def extensible(code, bits):
    return struct.pack("<HHIH", 22, bits, 0, code) + bytes.fromhex("000000001000800000aa00389b71")


@given(
    name=st.sampled_from(sorted(ENCODINGS)),
    channels=st.integers(1, 4),
    rate=st.integers(8000, 96000),
    frames=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40),
    extended=st.booleans(),
)
def test_every_encoding_gives_the_mean_of_its_channels(name, channels, rate, frames, extended):
    code, bits = ENCODINGS[name]
    one = np.array(frames)
    several = np.stack([one * (c + 1) / channels for c in range(channels)], axis=1)
    body = encode(several.reshape(-1), name)
    content = (
        wav(body, code=0xFFFE, channels=channels, rate=rate, bits=bits, extra=extensible(code, bits))
        if extended
        else wav(body, code=code, channels=channels, rate=rate, bits=bits)
    )
    sound = decode_wav(content)
    assert sound.rate == rate
    assert sound.samples == pytest.approx(several.mean(axis=1), abs=2.0 ** (2 - min(bits, 22)))


def test_24_bits_in_containers_of_32():
    body = struct.pack("<2i", 1 << 30, -(1 << 30))
    assert decode_wav(wav(body, bits=24, align=4)).samples.tolist() == [0.5, -0.5]


def test_chunks_before_the_sound_are_skipped_with_their_padding():
    content = wav(b"\x00\x40", before=b"LIST" + struct.pack("<I", 3) + b"abc\x00")
    assert decode_wav(content).samples.tolist() == [0.5]


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_file_without_its_length_is_read_to_the_end(size):
    assert decode_wav(wav(b"\x00\x40" * 3, size=size)).samples.tolist() == [0.5] * 3


def test_an_incomplete_last_frame_is_left_out():
    assert len(decode_wav(wav(b"\x00\x40" * 3 + b"\x01", channels=1)).samples) == 3
    assert len(decode_wav(wav(b"\x00\x40" * 3, channels=2)).samples) == 1


def test_float_that_is_no_number_or_too_loud_is_tamed():
    body = struct.pack("<4f", float("nan"), float("inf"), 3.0, -3.0)
    assert decode_wav(wav(body, code=3, bits=32)).samples.tolist() == [0.0, 1.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"ID3\x04mp3 or the like, in any case not a wave", "not a WAV"),
        (b"RIFF\x04\x00\x00\x00WAVE", "no format"),
        (wav(b"", code=1), "length is zero"),
        (wav(b"", code=1, before=b"data\x00\x00\x00\x00"), "before its format"),
        (wav(b"\x00\x00", code=7, bits=8), "mu-law"),
        (wav(b"\x00\x00", code=0x55, bits=0), "MP3"),
        (wav(b"\x00\x00", code=0x1234), "0x1234"),
        (wav(b"\x00" * 8, bits=12, align=2)[:12], "no format"),
        (wav(b"\x00" * 20, bits=40), "40-bit PCM"),
        (wav(b"\x00\x00", channels=0, align=2), "0 channels"),
        (wav(b"\x00\x00", rate=0), "at 0 Hz"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt \x02\x00\x00\x00\x01\x00data\x02\x00\x00\x00\x00\x00", "cut short"),
        (wav(b"")[:36], "no sound in it"),
    ],
)
def test_what_is_no_sound_is_refused_with_its_reason(content, reason):
    with pytest.raises(ConfigurationError, match=reason):
        decode_wav(content)


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda b: wav(b"\x01\x02" * 9)[:20] + b))
def test_broken_files_are_refused_and_never_crash(content):
    try:
        sound = decode_wav(content)
    except ConfigurationError:
        return
    assert len(sound.samples)


def test_the_file_is_named(tmp_path: Path):
    (tmp_path / "empty.wav").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"empty\.wav: the file is empty"):
        read_wav(tmp_path / "empty.wav")
    with pytest.raises(ConfigurationError, match=r"nowhere\.wav: no such file"):
        read_wav(tmp_path / "nowhere.wav")
    with pytest.raises(ConfigurationError, match="not a file"):
        read_wav(tmp_path)
    (tmp_path / "good.wav").write_bytes(wav(b"\x00\x40", rate=8000))
    assert read_wav(tmp_path / "good.wav").rate == 8000


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_pcm16_survives_unchanged_at_its_own_rate(samples):
    data = struct.pack(f"<{len(samples)}h", *samples)
    assert Sound.from_pcm16(data, 16000).pcm16(16000) == data


def test_another_rate_keeps_length_and_pitch():
    n = np.arange(44100)
    sound = Sound((0.5 * np.sin(2 * np.pi * 1000 * n / 44100)).astype(np.float32), 44100)
    heard = np.frombuffer(sound.pcm16(16000), "<i2").astype(float)
    assert len(heard) == 16000
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 1000
    assert np.abs(heard[1000:-1000]).max() == pytest.approx(16384, rel=0.01)
    assert sound.seconds == 1.0
