"""Speex: the canceller and the preprocessor of libspeexdsp, by ctypes on the system's library."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.machinery
import importlib.util
import logging
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from duologue.errors import ConfigurationError, MissingExtra

from duologue_audio.canceller import FramedCanceller

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

FRAME_MS = 20
TAIL_MS = 400  # the delay of the device and the room's answer, together
# What Linux, Homebrew (on ARM, on Intel) and Windows builds call it, where the linker's own search does not find it.
LIBRARIES = (
    "libspeexdsp.so.1",
    "/opt/homebrew/lib/libspeexdsp.dylib",
    "/usr/local/lib/libspeexdsp.dylib",
    "libspeexdsp-1.dll",
    "libspeexdsp.dll",
)

# Requests of speex_echo.h and speex_preprocess.h.
ECHO_SET_SAMPLING_RATE = 24
SETTINGS = {
    # Without DENOISE the preprocessor's suppression of residual echo silently does nothing. The noise itself is
    # to stay (-1 dB), since it is no echo.
    0: 1,  # DENOISE
    18: -1,  # NOISE_SUPPRESS, dB
    20: -60,  # ECHO_SUPPRESS, dB
    22: -45,  # ECHO_SUPPRESS_ACTIVE, dB, while the user speaks
}
PREPROCESS_SET_ECHO_STATE = 24


class Engine(Protocol):
    """What removes the echo: the library, or the package's binding to a part of it."""

    latency_ms: float

    def cancel(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Clean one frame."""
        ...

    def forget(self) -> None:
        """Begin anew."""
        ...


class SpeexCanceller(FramedCanceller):
    """Speex in frames of 20 ms: the user's voice stays nearly whole; some echo is left.

    It does not look for the delay: delay and reverberation must fit into its tail of 400 ms. Where only the
    package `speexdsp` is installed, residual echo stays, and the log says so once.

    Threading: one thread at a time. The system's library works without the GIL; the package holds it.

    Raises:
        ConfigurationError: a rate it does not run at.
        MissingExtra: neither the library nor the package is installed.
    """

    def __init__(self, rate: int) -> None:
        super().__init__("speex", rate, frame_ms=FRAME_MS, latency_ms=0.0)
        library = system_library()
        if library is not None:
            self._engine: Engine = Library(library, rate, self.frame)
        else:
            self._engine = Package(package(), rate, self.frame)
            say_what_is_missing()
        self.latency_ms = self._engine.latency_ms

    def _cancel(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        return self._engine.cancel(near, far)

    def _forget(self) -> None:
        self._engine.forget()


class Library:
    """The system's libspeexdsp: the canceller, then the preprocessor, which knows the canceller's state."""

    latency_ms = float(FRAME_MS)  # the preprocessor overlaps its windows by one frame

    def __init__(self, library: ctypes.CDLL, rate: int, frame: int) -> None:
        self._library = library
        self._rate = rate
        self._frame = frame
        self._open()

    def _open(self) -> None:
        library = self._library
        self._echo = library.speex_echo_state_init(self._frame, self._rate * TAIL_MS // 1000)
        self._preprocess = library.speex_preprocess_state_init(self._frame, self._rate)
        self._free: Callable[[], object] = weakref.finalize(self, _free, library, self._echo, self._preprocess)
        if not self._echo or not self._preprocess:
            raise ConfigurationError("libspeexdsp could not allocate an echo canceller: the machine is out of memory")
        rate = ctypes.c_int32(self._rate)
        library.speex_echo_ctl(self._echo, ECHO_SET_SAMPLING_RATE, ctypes.byref(rate))
        for request, value in SETTINGS.items():
            library.speex_preprocess_ctl(self._preprocess, request, ctypes.byref(ctypes.c_int32(value)))
        library.speex_preprocess_ctl(self._preprocess, PREPROCESS_SET_ECHO_STATE, self._echo)

    def cancel(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Clean one frame."""
        clean = np.empty_like(near)
        self._library.speex_echo_cancellation(self._echo, near.ctypes.data, far.ctypes.data, clean.ctypes.data)
        self._library.speex_preprocess_run(self._preprocess, clean.ctypes.data)
        return clean

    def forget(self) -> None:
        """Make both states anew: the preprocessor has no reset of its own."""
        self._free()
        self._open()


class Package:
    """The binding of the package `speexdsp`: the canceller alone."""

    latency_ms = 0.0

    def __init__(self, binding: ModuleType, rate: int, frame: int) -> None:
        self._binding = binding
        self._arguments = (frame, rate * TAIL_MS // 1000, rate, 1, 1)
        self._open()

    def _open(self) -> None:
        state = self._binding.EchoCanceller_create(*self._arguments)
        self._state = state
        # The low-level binding gives the state away and never frees it.
        self._free: Callable[[], object] = weakref.finalize(self, self._binding.delete_EchoCanceller, state)

    def cancel(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        """Clean one frame."""
        pcm: bytes = self._binding.EchoCanceller_process(self._state, near.tobytes(), far.tobytes())
        return np.frombuffer(pcm, np.int16).copy()

    def forget(self) -> None:
        """Make the state anew: the binding has no reset."""
        self._free()
        self._open()


def _free(library: ctypes.CDLL, echo: int | None, preprocess: int | None) -> None:
    if preprocess:
        library.speex_preprocess_state_destroy(preprocess)
    if echo:
        library.speex_echo_state_destroy(echo)


@cache
def system_library() -> ctypes.CDLL | None:
    """The system's libspeexdsp with the types of what we call; None where there is none."""
    for name in (ctypes.util.find_library("speexdsp"), *LIBRARIES):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            return typed(library)
    return None


def typed(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the functions: without it ctypes would cut pointers to 32 bits."""
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "speex_echo_state_init": (pointer, [integer, integer]),
        "speex_echo_state_destroy": (None, [pointer]),
        "speex_echo_cancellation": (None, [pointer] * 4),
        "speex_echo_ctl": (integer, [pointer, integer, pointer]),
        "speex_preprocess_state_init": (pointer, [integer, integer]),
        "speex_preprocess_state_destroy": (None, [pointer]),
        "speex_preprocess_run": (integer, [pointer, pointer]),
        "speex_preprocess_ctl": (integer, [pointer, integer, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def package() -> ModuleType:
    """The compiled half of the package `speexdsp`.

    Its Python half needs the module `imp`, which Python 3.12 no longer has, so it is left alone.

    Raises:
        MissingExtra: the package is not installed.
    """
    found = importlib.util.find_spec("speexdsp")
    places = list(found.submodule_search_locations or ()) if found else []
    binding = importlib.machinery.PathFinder.find_spec("_speexdsp", places) if places else None
    if binding is None or binding.loader is None:
        raise missing()
    module = importlib.util.module_from_spec(binding)
    try:
        binding.loader.exec_module(module)
    except ImportError as error:
        raise missing() from error
    return module


def missing() -> MissingExtra:
    """The error of a machine that has neither."""
    return MissingExtra(
        "libspeexdsp",
        needed_for="the echo canceller 'speex'",
        install="apt-get install libspeexdsp1` (Debian, Ubuntu), `brew install speexdsp` (macOS) "
        "or, for its canceller alone, `pip install 'duologue-audio[speex]'",
    )


@cache
def say_what_is_missing() -> None:
    """Log, once a process, that the package is only half of the library."""
    log.warning(
        "only the package speexdsp was found: echo is cancelled, but what is left of it is not suppressed; "
        "install libspeexdsp for that (Debian, Ubuntu: `apt-get install libspeexdsp1`, macOS: `brew install speexdsp`)"
    )
