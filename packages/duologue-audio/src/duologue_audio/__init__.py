"""Microphone, speaker and echo cancellation: one stream, one clock."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duologue_audio.backend import Backend, Device, DeviceStream, StreamSpec, using_backend
    from duologue_audio.cleaner import Cleaner
    from duologue_audio.devices import list_devices
    from duologue_audio.duplex import DuplexAudio
    from duologue_audio.echo import EchoCanceller, best_echo_canceller, make_echo_canceller
    from duologue_audio.latency import Latency
    from duologue_audio.microphone import Microphone
    from duologue_audio.notices import AudioNotice, DeviceGone, DeviceReopened, TapFailed
    from duologue_audio.pairs import Pair
    from duologue_audio.playback import Position
    from duologue_audio.ready import Stopped
    from duologue_audio.resample import SoxrResampler
    from duologue_audio.speaker import Speaker
    from duologue_audio.stats import AudioStats
    from duologue_audio.voice_loop import LoopEvent, LoopStats, VoiceLoop

# Where each name lives: numpy and soxr are loaded when a name is first used, not with the package.
_HOMES = {
    "AudioNotice": "notices",
    "AudioStats": "stats",
    "Backend": "backend",
    "Cleaner": "cleaner",
    "Device": "backend",
    "DeviceGone": "notices",
    "DeviceReopened": "notices",
    "DeviceStream": "backend",
    "DuplexAudio": "duplex",
    "EchoCanceller": "echo",
    "Latency": "latency",
    "LoopEvent": "voice_loop",
    "LoopStats": "voice_loop",
    "Microphone": "microphone",
    "Pair": "pairs",
    "Position": "playback",
    "SoxrResampler": "resample",
    "Speaker": "speaker",
    "Stopped": "ready",
    "StreamSpec": "backend",
    "TapFailed": "notices",
    "VoiceLoop": "voice_loop",
    "best_echo_canceller": "echo",
    "list_devices": "devices",
    "make_echo_canceller": "echo",
    "using_backend": "backend",
}

__all__ = [
    "AudioNotice",
    "AudioStats",
    "Backend",
    "Cleaner",
    "Device",
    "DeviceGone",
    "DeviceReopened",
    "DeviceStream",
    "DuplexAudio",
    "EchoCanceller",
    "Latency",
    "LoopEvent",
    "LoopStats",
    "Microphone",
    "Pair",
    "Position",
    "SoxrResampler",
    "Speaker",
    "Stopped",
    "StreamSpec",
    "TapFailed",
    "VoiceLoop",
    "best_echo_canceller",
    "list_devices",
    "make_echo_canceller",
    "using_backend",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
