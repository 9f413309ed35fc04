"""Defaults: which devices the system uses where none is named, asked without disturbing PortAudio.

PortAudio itself learns of new defaults only when it is started anew, which ends every stream.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys

ASK_S = 2.0
SYSTEM_OBJECT = 1  # kAudioObjectSystemObject
WAVE_MAPPER = ctypes.c_void_p(2**32 - 1)  # the device "whichever is the default", as a handle
PREFERRED_GET = 0x2015  # DRVM_MAPPER_PREFERRED_GET: which device that is; it is what PortAudio asks, too


def current_defaults() -> tuple[str, ...] | None:
    """Return what the default microphone and speaker are, None where the system can't be asked.

    Threading: takes some milliseconds, up to two seconds where the sound server hangs; not for the event loop.
    """
    if sys.platform == "darwin":
        return _core_audio()
    if sys.platform.startswith("linux"):
        return _pulse()
    if sys.platform == "win32":
        return _wave_mapper()
    return None


def _pulse() -> tuple[str, ...] | None:
    """PulseAudio and PipeWire: `pactl` knows. None without it, or without a server."""
    pactl = shutil.which("pactl")
    if pactl is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - a fixed command
            [pactl, "info"], capture_output=True, timeout=ASK_S, check=True, env={**os.environ, "LC_ALL": "C"}
        )
        lines = done.stdout.decode(errors="replace").splitlines()
        found = tuple(line for line in lines if line.startswith(("Default Sink:", "Default Source:")))
        return found or None
    return None


def _core_audio() -> tuple[str, ...] | None:
    """The numbers of macOS's default devices; a number belongs to a device for as long as that is there."""

    class Address(ctypes.Structure):
        _fields_ = [("selector", ctypes.c_uint32), ("scope", ctypes.c_uint32), ("element", ctypes.c_uint32)]

    try:
        core_audio = ctypes.CDLL("/System/Library/Frameworks/CoreAudio.framework/CoreAudio")
    except OSError:
        return None
    found = []
    for selector in (b"dIn ", b"dOut"):
        address = Address(int.from_bytes(selector, "big"), int.from_bytes(b"glob", "big"), 0)
        number, size = ctypes.c_uint32(0), ctypes.c_uint32(4)
        arguments = (SYSTEM_OBJECT, ctypes.byref(address), 0, None, ctypes.byref(size), ctypes.byref(number))
        if core_audio.AudioObjectGetPropertyData(*arguments):
            return None
        found.append(str(number.value))
    return tuple(found)


def _wave_mapper() -> tuple[str, ...] | None:
    """The names of Windows' default devices, by which the numbers of its wave devices are only a place in a list."""
    load = getattr(ctypes, "WinDLL", None)  # only Windows' Python has it
    if load is None:
        return None
    winmm = load("winmm")
    found = []
    for direction in ("In", "Out"):
        number, flags = ctypes.c_uint32(0), ctypes.c_uint32(0)
        ask = getattr(winmm, f"wave{direction}Message")
        ask.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p]
        if ask(WAVE_MAPPER, PREFERRED_GET, ctypes.addressof(number), ctypes.addressof(flags)):
            return None
        about = WaveCapabilities()
        tell = getattr(winmm, f"wave{direction}GetDevCapsW")
        tell.argtypes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint32]
        # That there is no device of this direction is an answer, too: the number is -1 then.
        unknown = tell(number.value, ctypes.addressof(about), ctypes.sizeof(about))
        found.append(f"{direction}: {'' if unknown else about.name}")
    return tuple(found)


class WaveCapabilities(ctypes.Structure):
    """WAVEOUTCAPSW, and WAVEINCAPSW, which is shorter by its end: Windows copies as much as there is."""

    _fields_ = [
        ("manufacturer", ctypes.c_uint16),
        ("product", ctypes.c_uint16),
        ("version", ctypes.c_uint32),
        ("name", ctypes.c_wchar * 32),
        ("rest", ctypes.c_uint32 * 3),
    ]
