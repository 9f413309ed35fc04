"""Echo: what a canceller is, and how one is made by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal, Protocol, cast

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

PREFERRED = ("webrtc", "speex")  # best first; what others install comes after, by name


class EchoCanceller(Protocol):
    """Takes the loudspeaker's sound out of the microphone's.

    An instance belongs to one stream and keeps what it has learned of the room.

    Threading: call it from one thread at a time, never from the audio callback.

    Attributes:
        rate: samples a second, of both sides.
        frame: samples that `process` takes at once.
        latency_ms: how much later than the microphone's its output is.
    """

    rate: int
    frame: int
    latency_ms: float

    @property
    def delay_ms(self) -> float | None:
        """How long the echo takes from `far` to `near`; None as long as that is unknown."""
        ...

    @property
    def erle_db(self) -> float:
        """How much quieter the microphone became in about the last second of playback.

        A voice that stays lowers the figure while both speak, one that the canceller takes away raises it: it is a
        measure of the echo only while the loudspeaker alone is heard.
        """
        ...

    def process(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Clean one frame of the microphone of what the loudspeaker played.

        Both are the frame that was captured and the one that was played together: a reference that comes later
        than its echo can't be used by any canceller.

        Raises:
            UnsupportedFormat: no int16, or not `frame` samples.
        """
        ...

    def skip(self, frames: int) -> None:
        """Say that this many frames, of `frame` samples each, were lost on both sides before the next call."""
        ...

    def reset(self) -> None:
        """Forget the room, for another device or another stream."""
        ...


def make_echo_canceller(name: Literal["hybrid", "webrtc", "speex"] | str, rate: int) -> EchoCanceller:
    """Make the canceller of that name for `rate`.

    Others than ours are found by their entry point in the group `duologue.echo`: a callable that takes the rate.

    Raises:
        ConfigurationError: no such canceller, or none for this rate.
        MissingExtra: its library is not installed; the message says how to get it.
    """
    for found in entry_points(group="duologue.echo", name=name):
        return cast("Callable[[int], EchoCanceller]", found.load())(rate)
    if name == "hybrid":
        raise ConfigurationError("the echo canceller 'hybrid' is not part of this version: use 'webrtc' or 'speex'")
    known = ", ".join(sorted({found.name for found in entry_points(group="duologue.echo")}))
    raise ConfigurationError(f"there is no echo canceller {name!r}: installed are {known or 'none'}")


def best_echo_canceller(rate: int) -> EchoCanceller | None:
    """Make the best canceller that works here at `rate`; None when there is none.

    Ours step aside while there is no echo, as with headphones.
    """
    from duologue_audio.bypass import Bypass  # numpy is loaded with it
    from duologue_audio.canceller import FramedCanceller

    others = sorted({found.name for found in entry_points(group="duologue.echo")} - set(PREFERRED))
    for name in (*PREFERRED, *others):
        try:
            found = make_echo_canceller(name, rate)
        except ConfigurationError:
            continue
        return Bypass(found) if isinstance(found, FramedCanceller) else found
    return None
