"""LocalBargeIn: notices the user's voice on this side, where the provider is slow to or does not."""

from __future__ import annotations

from collections import deque
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast

from duologue.errors import MissingExtra

from duologue_audio.resample import SoxrResampler

if TYPE_CHECKING:
    from collections.abc import Callable

VAD_RATE = 16000
FRAME_BYTES = 1024
THRESHOLD = 0.5
NEED, WINDOW = 3, 5


class VoiceActivity(Protocol):
    """What a detector of the entry-point group `duologue.vad` gives out for one stream."""

    def process(self, frame: bytes) -> float:
        """How likely speech is in the next 512 samples, PCM16 at 16 kHz."""
        ...


class LocalBargeIn:
    """Says when a voice begins: 96 ms of speech within 160 ms; says it again only after as much silence.

    Raises:
        MissingExtra: no voice activity detection is installed.
    """

    def __init__(self, rate: int, vad: VoiceActivity | None = None) -> None:
        self._vad = vad if vad is not None else installed_vad()
        self._resampler = SoxrResampler(rate, VAD_RATE) if rate != VAD_RATE else None
        self._rest = b""
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self.speaking = False

    def feed(self, pcm: bytes) -> bool:
        """Take cleaned microphone audio; return whether a voice begins in it. About 0.1 ms for 32 ms of audio."""
        self._rest += pcm if self._resampler is None else self._resampler.process(pcm)
        began = False
        while len(self._rest) >= FRAME_BYTES:
            frame, self._rest = self._rest[:FRAME_BYTES], self._rest[FRAME_BYTES:]
            self._recent.append(self._vad.process(frame) >= THRESHOLD)
            if not self.speaking and sum(self._recent) >= NEED:
                self.speaking = began = True
            elif not any(self._recent):
                self.speaking = False
        return began


def installed_vad() -> VoiceActivity:
    """The first installed voice activity detection, listening to one stream.

    Raises:
        MissingExtra: there is none.
    """
    for found in sorted(entry_points(group="duologue.vad"), key=lambda e: e.name):
        make = cast("Callable[[], Any]", found.load())
        return cast("VoiceActivity", make().stream())
    raise MissingExtra("duologue-local", needed_for="VoiceLoop(local_barge_in=True)")
