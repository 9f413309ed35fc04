"""Rates: streaming conversion between the application's audio formats and the session's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from duologue.blocks import AudioBlock
from duologue.errors import UnsupportedFormat
from duologue.events import AudioOutputDelta
from duologue.formats import AudioFormat, parse_format

if TYPE_CHECKING:
    from collections.abc import Callable


class Resampler(Protocol):
    """What the entry-point group `duologue.resampler` offers: made with `(from_rate, to_rate)`, PCM16 mono."""

    def process(self, pcm: bytes) -> bytes:
        """Take the next piece, of any length; return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return what is still held back; the resampler is used up."""
        ...


def find_resampler() -> Callable[[int, int], Resampler]:
    """The installed resampler.

    Raises:
        UnsupportedFormat: none is installed.
    """
    from importlib.metadata import entry_points  # 15 ms of import that most programs never need

    for found in entry_points(group="duologue.resampler"):
        return cast("Callable[[int, int], Resampler]", found.load())
    raise UnsupportedFormat(
        "the session takes another audio rate than yours and no resampler is installed: "
        "run `pip install duologue-audio`, or send audio at a rate of `session.capabilities.input_rates`"
    )


class InputConverter:
    """Brings the user's audio to a rate the session takes; one stream, so that blocks join without clicks."""

    def __init__(self, agreed: str, rates: tuple[int, ...]) -> None:
        self._agreed = parse_format(agreed)
        self._rates = rates
        self._passes: str | None = None
        self._resampler: Resampler | None = None
        self._route: tuple[int, int] | None = None

    def convert(self, block: AudioBlock) -> AudioBlock | None:
        """Return the block as the session takes it; None while the resampler holds everything back.

        Raises:
            UnsupportedFormat: an odd number of bytes, no resampler, or a session that takes no audio.
        """
        if block.media_type == self._passes and not len(block.data) & 1:
            return block  # as the last one
        media = parse_format(block.media_type)
        self._passes = None
        if media.encoding != "audio/pcm":
            return block  # the session knows whether it takes G.711 and the like
        if not self._rates:
            raise UnsupportedFormat("the session takes no audio: its `capabilities.input_rates` are empty")
        rate = media.rate or self._agreed.rate or self._rates[0]
        if len(block.data) % 2:
            raise UnsupportedFormat(f"an audio block of {len(block.data)} bytes is no PCM16: a sample has 2 bytes")
        if rate in self._rates:
            self._resampler = self._route = None
            self._passes = block.media_type if media.rate else None
            return block if media.rate else AudioBlock(block.data, f"audio/pcm;rate={rate}")
        route = (rate, self._rates[0])
        if self._resampler is None or self._route != route:
            self._resampler, self._route = find_resampler()(*route), route
        data = self._resampler.process(block.data)
        return AudioBlock(data, f"audio/pcm;rate={route[1]}") if data else None

    def rest(self) -> AudioBlock | None:
        """What the resampler still holds when the turn ends; the next block begins a new stream."""
        if self._resampler is None or self._route is None:
            return None
        data, rate = self._resampler.flush(), self._route[1]
        self._resampler = self._route = None
        return AudioBlock(data, f"audio/pcm;rate={rate}") if data else None


class OutputConverter:
    """Brings the assistant's speech to the application's rate, one stream a reply."""

    def __init__(self, wanted: str, session_rate: int) -> None:
        self._wanted = parse_format(wanted)
        self._session_rate = session_rate
        self.passes: str | None = None
        """The media type of the last piece, if it went through as it is."""
        self._resampler: Resampler | None = None
        self._for: tuple[str, int] | None = None
        self._half = b""

    def fits(self, media: AudioFormat) -> bool:
        """Whether audio of this format goes through as it is."""
        rate = media.rate or self._session_rate
        return media.encoding != "audio/pcm" or self._wanted.rate is None or rate == self._wanted.rate

    def convert(self, event: AudioOutputDelta) -> AudioOutputDelta:
        """Return the piece at the wanted rate; its data may be empty at first."""
        if event.media_type == self.passes:
            return event
        media = parse_format(event.media_type)
        if media.encoding != self._wanted.encoding:
            raise UnsupportedFormat(
                f"the session speaks {event.media_type} and you asked for {self._wanted.encoding}: "
                "set output_audio_format to what the session delivers"
            )
        if self.fits(media):
            self.passes = event.media_type
            return event
        wanted = cast("int", self._wanted.rate)
        stream = (event.response_id, media.rate or self._session_rate)
        if self._resampler is None or self._for != stream:
            self._resampler, self._for, self._half = find_resampler()(stream[1], wanted), stream, b""
        pcm = self._half + event.data if self._half else event.data
        whole = len(pcm) & ~1  # a provider may cut its pieces within a sample
        self._half = pcm[whole:]
        data = self._resampler.process(pcm[:whole])
        return AudioOutputDelta(data, f"audio/pcm;rate={wanted}", event.response_id, event.item_id)

    def rest(self, response_id: str) -> AudioOutputDelta | None:
        """What the resampler still holds of a reply that ended."""
        if self._resampler is None or self._for is None or self._for[0] != response_id:
            return None
        data = self._resampler.flush()
        self._resampler, self._for, self._half = None, None, b""
        return AudioOutputDelta(data, f"audio/pcm;rate={self._wanted.rate}", response_id) if data else None
