"""Audio formats as the media types name them."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from duologue.errors import UnsupportedFormat


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a media type such as `audio/pcm;rate=24000` says.

    Attributes:
        encoding: the media type without parameters, such as "audio/pcm".
        rate: Hz, None where the media type leaves it open.
        bytes_per_frame: 2 for PCM16 mono, 1 for G.711; 0 where the size says nothing about the time.
    """

    encoding: str
    rate: int | None
    bytes_per_frame: int

    def duration_ms(self, size: int, default_rate: int) -> float:
        """How long `size` bytes last; 0.0 for compressed formats."""
        return size * 1000 / (self.bytes_per_frame * (self.rate or default_rate)) if self.bytes_per_frame else 0.0


@functools.lru_cache(maxsize=64)
def parse_format(media_type: str) -> AudioFormat:
    """Read a media type.

    Raises:
        UnsupportedFormat: it is no audio type, or its rate is no positive number of Hz below ten million.
    """
    encoding, *parameters = (part.strip() for part in media_type.lower().split(";"))
    if not encoding.startswith("audio/"):
        raise UnsupportedFormat(f"{media_type!r} is not an audio type such as 'audio/pcm;rate=16000'")
    rate: int | None = None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "rate":
            if not re.fullmatch(r"\s*0*[1-9][0-9]{0,6}\s*", value):
                raise UnsupportedFormat(f"the rate of {media_type!r} is not a positive number of Hz")
            rate = int(value)
    if encoding in ("audio/pcmu", "audio/pcma"):
        return AudioFormat(encoding, rate or 8000, 1)
    return AudioFormat(encoding, rate, 2 if encoding in ("audio/pcm", "audio/l16") else 0)
