"""An offline speech-to-speech transport for Duologue: no key, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue_local.barge_in import BargeIn
from duologue_local.stages import (
    ASR,
    LLM,
    TTS,
    VAD,
    ChatMessage,
    Emit,
    Generation,
    Piece,
    Recognition,
    Rendered,
    Request,
    Speech,
    ToolCall,
    ToolSpec,
    VADStream,
)
from duologue_local.transport import LocalTransport

if TYPE_CHECKING:
    from duologue_local.demo import DEMO_TOOLS
    from duologue_local.resampler import SoxrResampler

__all__ = [
    "ASR",
    "DEMO_TOOLS",
    "LLM",
    "TTS",
    "VAD",
    "BargeIn",
    "ChatMessage",
    "Emit",
    "Generation",
    "LocalTransport",
    "Piece",
    "Recognition",
    "Rendered",
    "Request",
    "SoxrResampler",
    "Speech",
    "ToolCall",
    "ToolSpec",
    "VADStream",
]


def __getattr__(name: str) -> Any:
    """Load what needs other packages when it is used."""
    if name == "DEMO_TOOLS":
        from duologue_local.demo import DEMO_TOOLS

        return DEMO_TOOLS
    if name == "SoxrResampler":
        from duologue_local.resampler import SoxrResampler

        return SoxrResampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
