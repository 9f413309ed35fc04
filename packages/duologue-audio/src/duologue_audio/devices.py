"""Devices: what there is to record and to play with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue_audio.backend import current_backend

if TYPE_CHECKING:
    from duologue_audio.backend import Device


def list_devices() -> list[Device]:
    """Return every device of this machine.

    Raises:
        DeviceUnavailable: PortAudio is missing; the message says how to install it.
    """
    return current_backend().devices()
