"""Full-duplex voice agents: you talk, it talks, tools run meanwhile, and either side can cut in."""

from duologue.blocks import AudioBlock, ContentBlock, ImageBlock, TextBlock, ToolUseBlock
from duologue.tool import Tool, progress, tool
from duologue.transport import Capabilities, RealtimeSession, RealtimeTransport, TurnDetection
from duologue.types import CallRecord, Message, StopReason, Usage, WordTime

__all__ = [
    "AudioBlock",
    "CallRecord",
    "Capabilities",
    "ContentBlock",
    "ImageBlock",
    "Message",
    "RealtimeSession",
    "RealtimeTransport",
    "StopReason",
    "TextBlock",
    "Tool",
    "ToolUseBlock",
    "TurnDetection",
    "Usage",
    "WordTime",
    "progress",
    "tool",
]
