"""Recording: two channels of sound at their true times, written to a WAV file as they become final."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MAX_DATA = 0xFFFFFFFF - 36


class Timeline:
    """Places mono PCM16 on two channels by frame number and gives back what is final, interleaved.

    On each channel pieces come in order of time; a gap is silence, and what would overlap an earlier piece
    or lie in what has been taken is left out. Memory is bounded by what was placed and not yet taken.
    """

    LEFT, RIGHT = 0, 1

    def __init__(self) -> None:
        self.taken = 0
        self._channels = (bytearray(), bytearray())

    def place(self, channel: int, frame: int, pcm: bytes) -> None:
        """Put `pcm` on a channel, its first sample at `frame`."""
        waiting = self._channels[channel]
        end = self.taken + len(waiting) // 2
        if frame < end:
            pcm = pcm[2 * (end - frame) :]
        elif pcm:
            waiting.extend(bytes(2 * (frame - end)))
        waiting.extend(pcm)

    def take(self, until: int) -> bytes:
        """Return the stereo PCM16 from the last `take` to frame `until`, silence where nothing was placed."""
        count = max(0, until - self.taken)
        stereo = bytearray(4 * count)
        for channel, waiting in enumerate(self._channels):
            piece = bytes(waiting[: 2 * count])
            del waiting[: 2 * count]
            stereo[2 * channel : 2 * len(piece) : 4] = piece[0::2]
            stereo[2 * channel + 1 : 2 * len(piece) : 4] = piece[1::2]
        self.taken += count
        return bytes(stereo)


class WavWriter:
    """A stereo PCM16 WAV file that is valid at every moment: its header is kept up to date.

    An earlier file of that name stays as it is until `begin`; a new one vanishes again without it.

    Raises:
        ConfigurationError: the file can't be opened for writing, or is a pipe.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._is_new = not path.exists()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            self._file: BinaryIO = os.fdopen(descriptor, "r+b")
        except OSError as exc:
            raise ConfigurationError(f"{path}: can't be written ({exc.strerror or exc})") from exc
        self._rate = rate
        self._size = 0
        self._noted: int | None = None

    def begin(self) -> None:
        """Empty the file and write its header.

        Raises:
            ConfigurationError: it is no file that can be emptied, but a device.
        """
        try:
            self._file.truncate(0)
            self._note_size()
        except OSError as exc:
            raise ConfigurationError(f"{self._path}: can't be written ({exc.strerror or exc})") from exc

    def write(self, stereo: bytes) -> None:
        """Append interleaved PCM16; what no longer fits a WAV file (4 GB, twelve hours) is left out.

        Raises:
            OSError: the disk is full, or the like.
        """
        stereo = stereo[: max(0, _MAX_DATA - self._size) // 4 * 4]
        self._file.write(stereo)
        self._size += len(stereo)
        if self._noted is None or self._size - self._noted >= 4 * self._rate:
            self._note_size()  # once a second of sound: whoever kills us loses no more than that

    def close(self) -> None:
        """Write the final header; idempotent."""
        if self._file.closed:
            return
        with self._file:
            if self._noted is not None:
                self._note_size()
        if self._noted is None and self._is_new:
            self._path.unlink()

    def _note_size(self) -> None:
        rate, size = self._rate, self._size
        header = _HEADER.pack(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 2, rate, 4 * rate, 4, 16, b"data", size)
        self._file.seek(0)
        self._file.write(header)
        self._file.seek(0, 2)
        self._file.flush()
        self._noted = size
