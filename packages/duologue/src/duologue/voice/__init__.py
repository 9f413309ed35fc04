"""RealtimeVoice: voice conversations by callbacks, a thin layer over `RealtimeAgent` and any transport.

Loaded only when used. Its `TranscriptDelta` is not the core's event of that name.

`OpenAIRealtimeProvider` and `GeminiRealtimeProvider` are here, too, if the provider's package is installed; else asking
for them raises `MissingExtra`.
"""

from typing import TYPE_CHECKING, Any

from duologue.voice.config import RealtimeConfig, VADMode
from duologue.voice.data import AudioChunk, ToolCallRequest, ToolDefinition, TranscriptDelta
from duologue.voice.errors import RealtimeConnectionError, RealtimeError
from duologue.voice.facade import RealtimeVoice
from duologue.voice.provider import RealtimeProvider
from duologue.voice.session import VoiceSession

if TYPE_CHECKING:
    from duologue.voice.provider import GeminiRealtimeProvider as GeminiRealtimeProvider
    from duologue.voice.provider import OpenAIRealtimeProvider as OpenAIRealtimeProvider

__all__ = [
    "AudioChunk",
    "RealtimeConfig",
    "RealtimeConnectionError",
    "RealtimeError",
    "RealtimeProvider",
    "RealtimeVoice",
    "ToolCallRequest",
    "ToolDefinition",
    "TranscriptDelta",
    "VADMode",
    "VoiceSession",
]

_OF_PROVIDERS = {"GeminiRealtimeProvider": "gemini", "OpenAIRealtimeProvider": "openai"}


def __getattr__(name: str) -> Any:
    """Find a provider's class, if its package is installed.

    Raises:
        MissingExtra: it is not.
    """
    if name in _OF_PROVIDERS:
        from duologue.discovery import find_transport
        from duologue.voice import provider

        find_transport(_OF_PROVIDERS[name])
        return getattr(provider, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
