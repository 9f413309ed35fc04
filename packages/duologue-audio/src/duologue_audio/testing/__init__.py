"""Test kit: an audio device that is only arithmetic."""

from duologue_audio.backend import using_backend
from duologue_audio.testing.memory import MemoryBackend, MemoryStream
from duologue_audio.testing.room import Room

__all__ = ["MemoryBackend", "MemoryStream", "Room", "using_backend"]
