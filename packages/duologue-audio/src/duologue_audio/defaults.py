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


def current_defaults() -> tuple[str, ...] | None:
    """Return what the default microphone and speaker are, None where the system can't be asked.

    Threading: takes some milliseconds, up to two seconds where the sound server hangs; not for the event loop.
    """
    if sys.platform == "darwin":
        return _core_audio()
    if sys.platform.startswith("linux"):
        return _pulse()
    return None  # Windows: its sound mapper follows the default by itself


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
