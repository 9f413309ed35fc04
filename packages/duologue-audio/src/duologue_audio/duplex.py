"""DuplexAudio: microphone and speaker on one stream, so on one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.blocks import AudioBlock
from duologue.errors import ConfigurationError

from duologue_audio.backend import StreamSpec
from duologue_audio.cleaner import Cleaner
from duologue_audio.line import Line, LineOptions
from duologue_audio.options import both_devices, check_latency, check_rate, chunk_frames
from duologue_audio.speaker import Playback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue_audio.backend import Backend, DeviceName
    from duologue_audio.echo import EchoCanceller
    from duologue_audio.notices import AudioNotice
    from duologue_audio.pairs import Pair
    from duologue_audio.ready import Done, Stopped
    from duologue_audio.sound import Playable
    from duologue_audio.stats import AudioStats


class DuplexAudio:
    """Opens one stream for both directions: what the microphone hears is paired with what the speaker plays.

    `async with DuplexAudio() as audio` opens it, and so do `async with audio.mic` and `async with audio.speaker`: the
    first entry opens, the last exit closes.

    Threading: all calls come from the event loop's thread.

    Attributes:
        sample_rate: Hz of the microphone's chunks, whatever the device does.
        chunk_ms: how long one is.
        device: index or name for both directions, or (input, output); None for the defaults.
        mono_io: chunks and fed bytes are mono, whatever the device has; else they are interleaved in `channels`.
        queue_maxsize: how many chunks may wait; then the oldest are dropped, with their echo reference, and counted.
        channels: channels asked of the device, 1 or 2; a device that has only the other number is opened with that.
        feed_rate: Hz of fed bytes that carry no rate.
        echo: what cleans the chunks: "webrtc", "speex", an `EchoCanceller` made for `sample_rate`, or None.
        playback: where the speaker is.
    """

    def __init__(
        self,
        sample_rate: int = 48000,
        chunk_ms: float = 20,
        device: DeviceName | tuple[DeviceName, DeviceName] = None,
        mono_io: bool = True,
        queue_maxsize: int = 100,
        playback_tap: Callable[[bytes], None] | None = None,
        *,
        channels: int = 1,
        feed_rate: int = 24000,
        echo: str | EchoCanceller | None = None,
        latency_ms: float | None = None,
        backend: Backend | None = None,
    ) -> None:
        check_rate("feed_rate", feed_rate)
        if channels not in (1, 2):
            raise ConfigurationError(f"channels={channels!r}: a device is used with 1 or 2 channels")
        self.sample_rate = sample_rate
        self.chunk_ms = chunk_ms
        self.device = device
        self.mono_io = mono_io
        self.queue_maxsize = queue_maxsize
        self.channels = channels
        self.feed_rate = feed_rate
        self.echo = echo
        self._chunk = chunk_frames(sample_rate, chunk_ms, queue_maxsize)
        wide = 1 if mono_io else channels
        if echo is not None and wide > 1:
            raise ConfigurationError("echo cancellation is mono: leave mono_io=True, or echo=None")
        self._media_type = f"audio/pcm;rate={sample_rate}" + (f";channels={wide}" if wide > 1 else "")
        microphone, speaker = both_devices(device)
        spec = StreamSpec(microphone, speaker, channels=channels, latency=check_latency(latency_ms))
        self._line = Line(
            LineOptions(
                spec,
                sample_rate,
                self._chunk,
                feed_rate,
                wide,
                queue_maxsize,
                tap=playback_tap,
                adaptive=latency_ms is None,
                backend=backend,
            )
        )
        self.playback = Playback(self._line)

    async def __aenter__(self) -> DuplexAudio:
        await self._line.enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._line.leave()

    @property
    def mic(self) -> MicView:
        """The microphone alone, with the interface of `Microphone`."""
        return MicView(self)

    @property
    def speaker(self) -> SpeakerView:
        """The speaker alone, with the interface of `Speaker`."""
        return SpeakerView(self)

    async def mic_chunks(self) -> AsyncIterator[AudioBlock]:
        """Yield the microphone's chunks, through the canceller if `echo` is set; one reader at a time."""
        cleaner = self._cleaner()
        async for pair in self.pairs():
            for chunk in [pair.wide] if cleaner is None else cleaner.feed(pair):
                yield AudioBlock(chunk.astype("<i2", copy=False).tobytes(), self._media_type)

    def pairs(self) -> AsyncIterator[Pair]:
        """The microphone's chunks, uncleaned, each with what was played during it; in place of `mic_chunks`.

        Raises:
            LocalProtocolError: the audio is not open.
        """
        return self._line.inlet.pairs()

    def feed_speaker(self, audio: Playable) -> Done:
        """Queue audio behind what waits already, up to 15 minutes of it; acts with and without `await`.

        Raises:
            UnsupportedFormat: no PCM16.
            AudioError: 15 minutes wait already; nothing was taken.
            LocalProtocolError: the audio is not open.
        """
        return self._line.feed(audio)

    def stop_speaker(self) -> Stopped:
        """Drop all that waits; silence begins with the device's next block. Awaited, it is the `heard_ms` of the cut.

        Raises:
            LocalProtocolError: the audio is not open.
        """
        return self._line.stop()

    def speaker_pending_bytes(self) -> int:
        """How many bytes, at `feed_rate`, the device has still to take; 0 when all is handed over."""
        return self._line.pending_bytes()

    def events(self) -> AsyncIterator[AudioNotice]:
        """What happens to the devices from now on, until the audio is closed."""
        return self._line.board.listen()

    @property
    def stats(self) -> AudioStats:
        """What went wrong so far, counted."""
        return self._line.stats

    def _cleaner(self) -> Cleaner | None:
        if self.echo is None:
            return None
        if not isinstance(self.echo, str):
            return Cleaner(self.echo, self.sample_rate, self._chunk)
        from duologue_audio.echo import make_echo_canceller

        return Cleaner(make_echo_canceller(self.echo, self.sample_rate), self.sample_rate, self._chunk)


class MicView:
    """The microphone of a `DuplexAudio`."""

    def __init__(self, duplex: DuplexAudio) -> None:
        self._duplex = duplex

    async def __aenter__(self) -> MicView:
        await self._duplex.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._duplex.__aexit__(*details)

    def __aiter__(self) -> AsyncIterator[AudioBlock]:
        """Yield the chunks of `mic_chunks`."""
        return self._duplex.mic_chunks()


class SpeakerView:
    """The speaker of a `DuplexAudio`."""

    def __init__(self, duplex: DuplexAudio) -> None:
        self._duplex = duplex
        self.playback = duplex.playback

    async def __aenter__(self) -> SpeakerView:
        await self._duplex.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._duplex.__aexit__(*details)

    def feed(self, audio: Playable) -> Done:
        """Queue audio: `DuplexAudio.feed_speaker`."""
        return self._duplex.feed_speaker(audio)

    def stop(self) -> Stopped:
        """Drop all that waits: `DuplexAudio.stop_speaker`."""
        return self._duplex.stop_speaker()

    def pending_bytes(self) -> int:
        """What the device has still to take: `DuplexAudio.speaker_pending_bytes`."""
        return self._duplex.speaker_pending_bytes()
