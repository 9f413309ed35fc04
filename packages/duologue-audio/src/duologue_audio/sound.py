"""Sound: what people hand to a speaker, brought to one form."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

from duologue.blocks import AudioBlock
from duologue.errors import UnsupportedFormat
from duologue.events import AudioOutputDelta
from duologue.formats import parse_format

from duologue_audio.playback import Utterance

Playable: TypeAlias = AudioOutputDelta | AudioBlock | bytes | bytearray | memoryview


class Sound(NamedTuple):
    """PCM16 with its rate and channels, and whose it is."""

    pcm: bytes
    rate: int
    utterance: Utterance
    channels: int = 1

    @property
    def frame(self) -> int:
        """Bytes of one frame."""
        return 2 * self.channels


def sound_of(item: Playable, rate: int, channels: int, turn: int) -> Sound:
    """Bring something playable to one form.

    Bytes, and blocks that name no rate, are at `rate`; bytes have `channels`, everything else is mono unless its type
    says `channels=2`. What has no response is of the nameless utterance number `turn`.

    Raises:
        UnsupportedFormat: something else than PCM16.
        TypeError: neither audio nor bytes.
    """
    if isinstance(item, AudioOutputDelta):
        utterance = Utterance(item.response_id, item.item_id, 0 if item.response_id else turn)
        return Sound(item.data, *_format(item.media_type, rate, utterance))
    if isinstance(item, AudioBlock):
        return Sound(item.data, *_format(item.media_type, rate, Utterance("", "", turn)))
    if isinstance(item, (bytes, bytearray, memoryview)):
        return Sound(bytes(item), rate, Utterance("", "", turn), channels)
    raise TypeError(f"a speaker takes AudioOutputDelta, AudioBlock or bytes of PCM16, not {type(item).__name__}")


def _format(media_type: str, rate: int, utterance: Utterance) -> tuple[int, Utterance, int]:
    media = parse_format(media_type)
    if media.encoding != "audio/pcm":
        raise UnsupportedFormat(f"a speaker plays PCM16 ('audio/pcm;rate=24000'), not {media_type!r}: decode it first")
    named = re.search(r";\s*channels\s*=\s*(\w*)", media_type)
    if named and named[1] not in ("1", "2"):
        raise UnsupportedFormat(f"a speaker plays one or two channels, not those of {media_type!r}")
    return media.rate or rate, utterance, int(named[1]) if named else 1
