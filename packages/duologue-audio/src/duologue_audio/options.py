"""Options: what microphone, speaker and duplex audio have in common to check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.errors import ConfigurationError

from duologue_audio.resample import HIGHEST, LOWEST

if TYPE_CHECKING:
    from duologue_audio.backend import DeviceName

DEFAULT_LATENCY_MS = 20.0


def chunk_frames(sample_rate: int, chunk_ms: float, queue_maxsize: int) -> int:
    """Frames of a chunk.

    Raises:
        ConfigurationError: an argument makes no sense.
    """
    check_rate("sample_rate", sample_rate)
    if queue_maxsize < 1:
        raise ConfigurationError(f"queue_maxsize={queue_maxsize!r}: the queue needs room for one chunk at least")
    frames = round(sample_rate * chunk_ms / 1000)
    if not 1 <= frames <= sample_rate:
        raise ConfigurationError(f"chunk_ms={chunk_ms!r}: a chunk lasts between one frame and a second")
    return frames


def check_rate(name: str, rate: int) -> None:
    """Check that a rate is one.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(rate, int) or not LOWEST <= rate <= HIGHEST:
        raise ConfigurationError(f"{name}={rate!r}: give a whole number of Hz from {LOWEST} to {HIGHEST}")


def check_latency(latency_ms: float | None) -> float:
    """The latency to ask of the device, in seconds.

    Raises:
        ConfigurationError: it makes no sense.
    """
    wanted = DEFAULT_LATENCY_MS if latency_ms is None else latency_ms
    if not 1 <= wanted <= 1000:
        raise ConfigurationError(f"latency_ms={latency_ms!r}: give 1 to 1000, or None for {DEFAULT_LATENCY_MS:g}")
    return wanted / 1000


def both_devices(
    device: DeviceName | tuple[DeviceName, DeviceName],
) -> tuple[DeviceName, DeviceName]:
    """The microphone and the speaker that one `device` argument names.

    Raises:
        ConfigurationError: a sequence that is no pair.
    """
    if device is None or isinstance(device, (int, str)):
        return device, device
    if len(device) != 2:
        raise ConfigurationError(f"device={device!r}: give one device, or (input, output)")
    return device[0], device[1]
