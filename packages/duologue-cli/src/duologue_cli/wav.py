"""WAV input: read a file of any common encoding, rate and number of channels as mono sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_NAMES = {
    0x0002: "ADPCM",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0050: "MPEG",
    0x0055: "MP3",
    0x00FF: "AAC",
}


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono sound, samples from -1 to 1."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def pcm16(self, rate: int) -> bytes:
        """Return it as PCM16 at `rate`."""
        samples = self.samples
        if rate != self.rate:
            import soxr  # type: ignore[import-untyped,unused-ignore] # loaded only where the rates differ

            samples = soxr.resample(samples, self.rate, rate)
        pcm: bytes = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
        return pcm

    @classmethod
    def from_pcm16(cls, data: bytes, rate: int) -> Sound:
        """Take PCM16 mono."""
        return cls(np.frombuffer(data, "<i2").astype(np.float32) / 32768.0, rate)


def read_wav(path: Path) -> Sound:
    """Read a WAV file and mix its channels to one.

    Takes integer PCM of 8, 16, 24 and 32 bits and float of 32 and 64 bits, plain or "extensible". A data
    chunk that says it is longer than the file, as streaming encoders write, is read to the file's end.

    Raises:
        ConfigurationError: it can't be read, is no WAV, holds no audio or an encoding we don't know.
    """
    try:
        if not path.exists():
            raise ConfigurationError(f"{path}: no such file")
        if not path.is_file():
            raise ConfigurationError(f"{path}: not a file")
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"{path}: can't be read ({exc.strerror or exc})") from exc
    try:
        return decode_wav(content)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{path}: {exc}") from exc


def decode_wav(content: bytes) -> Sound:
    """Decode the bytes of a WAV file.

    Raises:
        ConfigurationError: as `read_wav`, without the file's name.
    """
    if not content:
        raise ConfigurationError("the file is empty")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ConfigurationError("not a WAV file (convert it first, for example `ffmpeg -i FILE out.wav`)")
    form: bytes | None = None
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + size]
        if name == b"fmt ":
            form = body
        elif name == b"data":
            if form is None:
                raise ConfigurationError("a broken WAV file: its sound comes before its format")
            if size == 0 and at + 8 < len(content) and not _looks_like_chunk(content, at + 8):
                body = content[at + 8 :]  # a streaming encoder never came back to write the length
            return _decode(form, body)
        at += 8 + size + (size & 1)
    raise ConfigurationError("a broken WAV file: no sound in it" if form else "a broken WAV file: no format in it")


def _looks_like_chunk(content: bytes, at: int) -> bool:
    size = int.from_bytes(content[at + 4 : at + 8], "little")
    return content[at : at + 4].isalnum() and at + 8 + size <= len(content)


def _decode(form: bytes, body: bytes) -> Sound:
    if len(form) < 16:
        raise ConfigurationError("a broken WAV file: its format is cut short")
    code, channels, rate, _, align, bits = (
        int.from_bytes(form[a:b], "little") for a, b in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))
    )
    if code == _EXTENSIBLE and len(form) >= 26:
        code = int.from_bytes(form[24:26], "little")
    if not channels or not 1000 <= rate <= 768_000:
        raise ConfigurationError(f"a broken WAV file: {channels} channels at {rate} Hz")
    width = align // channels if align and align % channels == 0 else (bits + 7) // 8
    body = body[: len(body) // (width * channels or 1) * width * channels]
    samples = _samples(code, width, bits, body)
    if not len(samples):
        raise ConfigurationError("no sound in it: its length is zero")
    mixed = samples.reshape(-1, channels).mean(axis=1, dtype=np.float32) if channels > 1 else samples
    return Sound(np.clip(np.nan_to_num(mixed), -1.0, 1.0).astype(np.float32, copy=False), rate)


def _samples(code: int, width: int, bits: int, body: bytes) -> NDArray[np.float32]:
    match code, width:
        case 1, 1:
            return (np.frombuffer(body, np.uint8).astype(np.float32) - 128.0) / 128.0
        case 1, 2:
            return np.frombuffer(body, "<i2").astype(np.float32) / 32768.0
        case 1, 3:
            three = np.frombuffer(body, np.uint8).reshape(-1, 3)
            four = np.zeros((len(three), 4), np.uint8)
            four[:, 1:] = three  # into the upper bytes, so that the sign is right
            return (four.view("<i4").reshape(-1) / 2147483648.0).astype(np.float32)
        case 1, 4:
            return (np.frombuffer(body, "<i4") / 2147483648.0).astype(np.float32)
        case 3, 4:
            return np.frombuffer(body, "<f4").astype(np.float32)
        case 3, 8:
            double: NDArray[np.float64] = np.nan_to_num(np.frombuffer(body, "<f8"))
            return double.clip(-1.0, 1.0).astype(np.float32)
        case _:
            kinds = {_PCM: f"{bits}-bit PCM", _FLOAT: f"{bits}-bit float"} | _NAMES
            raise ConfigurationError(
                f"encoding {kinds.get(code, f'{code:#06x}')} is not supported: "
                "give 8, 16, 24 or 32-bit PCM, or 32 or 64-bit float"
            )
