"""Notices: what happens to a device or to a tap while a conversation goes on."""
# ruff: noqa: TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias

WAITING = 64  # a device event is rare: whoever reads that late wants the newest


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """The device stopped serving us, or is no longer the default; it is being opened anew.

    Attributes:
        device: the name it had.
        reason: why, in words.
    """

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceReopened:
    """Audio goes on.

    Attributes:
        device: the name of the device that serves now.
        gap: seconds without it.
    """

    device: str
    gap: float


@dataclass(frozen=True, slots=True)
class TapFailed:
    """The `playback_tap` raised and was switched off."""

    exception: Exception


AudioNotice: TypeAlias = DeviceGone | DeviceReopened | TapFailed


class NoticeBoard:
    """Hands every notice to everybody who listens; a listener keeps the newest 64."""

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []

    def post(self, notice: AudioNotice) -> None:
        """Tell everybody."""
        for listener in self._listeners:
            listener.waiting.append(notice)
            listener.wake.set()

    def end(self) -> None:
        """Let the listeners finish: the stream is closed."""
        for listener in self._listeners:
            listener.ended = True
            listener.wake.set()
        self._listeners.clear()

    def listen(self) -> AsyncIterator[AudioNotice]:
        """Return what is posted from this call on, until `end`."""
        listener = _Listener()
        self._listeners.append(listener)
        return self._read(listener)

    async def _read(self, listener: _Listener) -> AsyncIterator[AudioNotice]:
        try:
            while True:
                while listener.waiting:
                    yield listener.waiting.popleft()
                if listener.ended:
                    return
                listener.wake.clear()
                await listener.wake.wait()
        finally:
            if listener in self._listeners:
                self._listeners.remove(listener)


class _Listener:
    def __init__(self) -> None:
        self.waiting: deque[AudioNotice] = deque(maxlen=WAITING)
        self.wake = asyncio.Event()
        self.ended = False
