"""Ends: the two ends of a voice loop, microphone and speaker, however they are made."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from duologue_audio.cleaner import Cleaner
from duologue_audio.level import Level

if TYPE_CHECKING:
    import contextlib
    from collections.abc import AsyncIterator

    from duologue_audio.duplex import DuplexAudio
    from duologue_audio.microphone import Microphone
    from duologue_audio.notices import AudioNotice
    from duologue_audio.playback import Position
    from duologue_audio.ready import Stopped
    from duologue_audio.sound import Playable
    from duologue_audio.speaker import Speaker
    from duologue_audio.stats import AudioStats

log = logging.getLogger(__name__)


class DuplexEnds:
    """Both ends on one stream, so on one clock; the echo of what is played is cancelled."""

    def __init__(self, audio: DuplexAudio, *, cancel_echo: bool) -> None:
        self.audio = audio
        self.rate = audio.sample_rate
        self._cancel_echo = cancel_echo
        self.cleaner: Cleaner | None = None
        self.played: Level | None = Level()

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Open the devices for as long as the stack lives."""
        await stack.enter_async_context(self.audio)
        self.cleaner = self._make_cleaner()

    async def chunks(self) -> AsyncIterator[bytes]:
        """PCM16 mono of the microphone, cleaned."""
        async for pair in self.audio.pairs():
            if self.played is not None:
                self.played.feed(pair.far.astype("<i2", copy=False).tobytes(), self.rate)
            for chunk in [pair.near] if self.cleaner is None else self.cleaner.feed(pair):
                yield chunk.astype("<i2", copy=False).tobytes()

    def feed(self, item: Playable) -> None:
        """Queue speech."""
        self.audio.feed_speaker(item)

    def stop(self) -> Stopped:
        """Silence the speaker."""
        return self.audio.stop_speaker()

    def position(self) -> Position:
        """What leaves the speaker."""
        return self.audio.playback.position()

    def pending_bytes(self) -> int:
        """What the device has still to take."""
        return self.audio.speaker_pending_bytes()

    def notices(self) -> list[AsyncIterator[AudioNotice]]:
        """What happens to the devices."""
        return [self.audio.events()]

    @property
    def stats(self) -> AudioStats:
        """The devices' counters."""
        return self.audio.stats

    def _make_cleaner(self) -> Cleaner | None:
        from duologue_audio.echo import best_echo_canceller, make_echo_canceller

        echo: Any = self.audio.echo
        if echo is None:
            if not self._cancel_echo:
                return None
            echo = best_echo_canceller(self.rate)
            if echo is None:
                log.warning(
                    "no echo canceller is installed, so the agent may hear itself and stop: run `pip install "
                    "pywebrtc-audio`, use headphones, or half_duplex=True"
                )
                return None
        elif isinstance(echo, str):
            echo = make_echo_canceller(echo, self.rate)
        return Cleaner(echo, self.rate, round(self.rate * self.audio.chunk_ms / 1000))


class SplitEnds:
    """A microphone and a speaker of their own."""

    def __init__(self, microphone: Microphone, speaker: Speaker) -> None:
        log.warning(
            "microphone and speaker on two streams: their clocks drift apart and the echo can't be cancelled; "
            "use DuplexAudio, or headphones"
        )
        self._microphone = microphone
        self._speaker = speaker
        self.rate = microphone.sample_rate
        self.cleaner: Cleaner | None = None
        self.played: Level | None = None  # nobody tells when a speaker of its own plays what

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Open the devices for as long as the stack lives."""
        await stack.enter_async_context(self._microphone)
        await stack.enter_async_context(self._speaker)

    async def chunks(self) -> AsyncIterator[bytes]:
        """PCM16 mono of the microphone."""
        async for block in self._microphone:
            yield block.data

    def feed(self, item: Playable) -> None:
        """Queue speech."""
        self._speaker.feed(item)

    def stop(self) -> Stopped:
        """Silence the speaker."""
        return self._speaker.stop()

    def position(self) -> Position:
        """What leaves the speaker."""
        return self._speaker.playback.position()

    def pending_bytes(self) -> int:
        """What the device has still to take."""
        return self._speaker.pending_bytes()

    def notices(self) -> list[AsyncIterator[AudioNotice]]:
        """What happens to the devices."""
        return [self._microphone.events(), self._speaker.events()]

    @property
    def stats(self) -> AudioStats:
        """The microphone's counters; the speaker's are its own."""
        return self._microphone.stats
