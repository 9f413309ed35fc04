"""Full-duplex voice agents: you talk, it talks, tools run meanwhile, and either side can cut in."""

from typing import TYPE_CHECKING, Any

from duologue.assembler import ToolCallAssembler
from duologue.blocks import AudioBlock, ContentBlock, ImageBlock, TextBlock, ToolUseBlock
from duologue.discovery import available_transports, configured_transports, get_transport
from duologue.errors import (
    AudioError,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    DeviceLost,
    DeviceUnavailable,
    DuologueError,
    InvalidArguments,
    LinkError,
    LocalProtocolError,
    MissingExtra,
    ProtocolError,
    RateLimited,
    RemoteProtocolError,
    ResumeFailed,
    SessionClosed,
    ToolError,
    ToolRejected,
    ToolTimeout,
    UnsupportedFormat,
)
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Error,
    Event,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    Reconnected,
    Reconnecting,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StreamEvent,
    TextDelta,
    ToolCancelled,
    ToolInputDelta,
    ToolProgress,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.tool import Tool, progress, tool
from duologue.transport import (
    Capabilities,
    ClearsInput,
    HandsEvents,
    HearsPlayback,
    RealtimeSession,
    RealtimeTransport,
    ReplaysHistory,
    TruncatesPlayback,
    TurnDetection,
    UpdatesSession,
)
from duologue.types import CallRecord, Message, StopReason, Usage, WordTime

if TYPE_CHECKING:
    from duologue.agent import RealtimeAgent
    from duologue.wire import Codec, Endpoint, LinkPolicy, Opening, WireSession

__all__ = [
    "AgentChanged",
    "AudioBlock",
    "AudioError",
    "AudioOutputDelta",
    "CallRecord",
    "Capabilities",
    "ClearsInput",
    "Codec",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "ContentBlock",
    "DeviceLost",
    "DeviceUnavailable",
    "DuologueError",
    "Endpoint",
    "Error",
    "Event",
    "GoingAway",
    "HandsEvents",
    "HearsPlayback",
    "ImageBlock",
    "Interrupted",
    "InvalidArguments",
    "LinkError",
    "LinkPolicy",
    "LocalProtocolError",
    "Message",
    "MissingExtra",
    "Opening",
    "Problem",
    "ProtocolError",
    "ProviderEvent",
    "RateLimited",
    "RealtimeAgent",
    "RealtimeSession",
    "RealtimeTransport",
    "Reconnected",
    "Reconnecting",
    "RemoteProtocolError",
    "ReplaysHistory",
    "ResumeFailed",
    "SessionClosed",
    "SessionStarted",
    "SpeechStarted",
    "SpeechStopped",
    "StopReason",
    "StreamEvent",
    "TextBlock",
    "TextDelta",
    "Tool",
    "ToolCallAssembler",
    "ToolCancelled",
    "ToolError",
    "ToolInputDelta",
    "ToolProgress",
    "ToolRejected",
    "ToolResult",
    "ToolStarted",
    "ToolTimeout",
    "ToolUseBlock",
    "ToolUseEnd",
    "ToolUseStart",
    "TranscriptDelta",
    "TruncatesPlayback",
    "TurnComplete",
    "TurnDetection",
    "UnsupportedFormat",
    "UpdatesSession",
    "Usage",
    "WireSession",
    "WordTime",
    "available_transports",
    "configured_transports",
    "get_transport",
    "progress",
    "tool",
]


_LATER = {
    "RealtimeAgent": "duologue.agent",
    "Codec": "duologue.wire",
    "Endpoint": "duologue.wire",
    "LinkPolicy": "duologue.wire",
    "Opening": "duologue.wire",
    "WireSession": "duologue.wire",
}


def __getattr__(name: str) -> Any:
    """Load the agent and the wire layer when they are first named: events, blocks and tools do without."""
    if name in _LATER:
        import importlib

        found = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
