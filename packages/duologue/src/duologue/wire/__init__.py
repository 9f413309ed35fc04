"""What WebSocket providers share: codecs, links that survive, capture and replay. Loaded only when used."""

from duologue.effects import AnswerCall, StopReply, Truncate
from duologue.wire.codec import Codec, CodecFactory, Frame, Opening, ServerCodec
from duologue.wire.commands import (
    AddMessage,
    ClearInput,
    ClientCommand,
    Command,
    CommitTurn,
    NotePlayback,
    ProviderCommand,
    SendContent,
    SetUp,
    UpdateSession,
)
from duologue.wire.endpoint import Endpoint, EndpointSource, KeepAlive
from duologue.wire.policy import LinkPolicy
from duologue.wire.secrets import Secrets
from duologue.wire.session import WireSession
from duologue.wire.telling import as_told

__all__ = [
    "AddMessage",
    "AnswerCall",
    "ClearInput",
    "ClientCommand",
    "Codec",
    "CodecFactory",
    "Command",
    "CommitTurn",
    "Endpoint",
    "EndpointSource",
    "Frame",
    "KeepAlive",
    "LinkPolicy",
    "NotePlayback",
    "Opening",
    "ProviderCommand",
    "Secrets",
    "SendContent",
    "ServerCodec",
    "SetUp",
    "StopReply",
    "Truncate",
    "UpdateSession",
    "WireSession",
    "as_told",
]
