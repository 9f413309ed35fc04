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
    HearsPlayback,
    RealtimeSession,
    RealtimeTransport,
    TruncatesPlayback,
    TurnDetection,
    UpdatesSession,
)
from duologue.types import CallRecord, Message, StopReason, Usage, WordTime

if TYPE_CHECKING:
    from duologue.agent import RealtimeAgent

__all__ = [
    "AgentChanged",
    "AudioBlock",
    "AudioError",
    "AudioOutputDelta",
    "CallRecord",
    "Capabilities",
    "ClearsInput",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "ContentBlock",
    "DeviceLost",
    "DeviceUnavailable",
    "DuologueError",
    "Error",
    "Event",
    "GoingAway",
    "HearsPlayback",
    "ImageBlock",
    "Interrupted",
    "InvalidArguments",
    "LinkError",
    "LocalProtocolError",
    "Message",
    "MissingExtra",
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
    "WordTime",
    "available_transports",
    "configured_transports",
    "get_transport",
    "progress",
    "tool",
]


def __getattr__(name: str) -> Any:
    """Load the agent, and asyncio with it, when it is first named: events, blocks and tools do without."""
    if name == "RealtimeAgent":
        from duologue.agent import RealtimeAgent

        globals()[name] = RealtimeAgent
        return RealtimeAgent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
