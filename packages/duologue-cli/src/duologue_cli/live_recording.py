"""The recording of a live conversation: microphone and speaker, chunk by chunk as the devices gave and took them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.errors import DuologueError
from duologue_audio import SoxrResampler

from duologue_cli.recording import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue_cli.recording import WavWriter

WRITE_S = 0.5


class LiveRecording:
    """Places what was captured left and what was played right; both sides count time by the same chunks.

    Args:
        writer: where it goes.
        rate: of what comes in.
        recorded_rate: of the file.
        failed: told when the file can't be written any more.
    """

    def __init__(
        self, writer: WavWriter, rate: int, recorded_rate: int, failed: Callable[[DuologueError], None]
    ) -> None:
        self._writer: WavWriter | None = writer
        self._failed = failed
        self._timeline = Timeline()
        self._resamplers = (SoxrResampler(rate, recorded_rate), SoxrResampler(rate, recorded_rate))
        self._ends = [0, 0]
        self._step = int(WRITE_S * recorded_rate)

    def captured(self, pcm: bytes) -> None:
        """Take a chunk of the microphone."""
        self._place(Timeline.LEFT, pcm)
        if min(self._ends) - self._timeline.taken >= self._step:
            self._write(min(self._ends))

    def played(self, pcm: bytes) -> None:
        """Take what was played meanwhile: a `playback_tap`."""
        self._place(Timeline.RIGHT, pcm)

    def finish(self) -> None:
        """Write what is left."""
        self._write(max(self._ends))

    def _place(self, channel: int, pcm: bytes) -> None:
        pcm = self._resamplers[channel].process(pcm)
        self._timeline.place(channel, self._ends[channel], pcm)
        self._ends[channel] += len(pcm) // 2

    def _write(self, until: int) -> None:
        stereo = self._timeline.take(until)
        if self._writer is None:
            return
        try:
            self._writer.write(stereo)
        except OSError as exc:
            self._writer = None
            self._failed(DuologueError(f"the recording can't be written any more ({exc.strerror or exc})"))
