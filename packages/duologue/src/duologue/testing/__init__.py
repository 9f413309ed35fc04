"""The test kit: scripted backends, a virtual clock, leak checks, strategies and the transport contract."""

from typing import TYPE_CHECKING, Any

from duologue.testing.clock import VirtualClock, virtual_time
from duologue.testing.contract import TransportContract
from duologue.testing.leaks import assert_no_leaks
from duologue.testing.records import (
    CallAnswered,
    Committed,
    ContentSent,
    PlaybackNoticed,
    Record,
    ReplyStopped,
    Truncated,
)
from duologue.testing.scripted import End, Expect, ScriptedSession, ScriptedTransport, Wait, speech, tone

if TYPE_CHECKING:
    from duologue.testing.peer import Peer
    from duologue.testing.replay_transport import ReplayTransport
    from duologue.testing.stand_in import StandIn
    from duologue.testing.wire_server import Refusal, WireServer

__all__ = [
    "CallAnswered",
    "Committed",
    "ContentSent",
    "End",
    "Expect",
    "Peer",
    "PlaybackNoticed",
    "Record",
    "Refusal",
    "ReplayTransport",
    "ReplyStopped",
    "ScriptedSession",
    "ScriptedTransport",
    "StandIn",
    "TransportContract",
    "Truncated",
    "VirtualClock",
    "Wait",
    "WireServer",
    "assert_no_leaks",
    "speech",
    "tone",
    "virtual_time",
]

_LATER = {
    "Peer": "duologue.testing.peer",
    "Refusal": "duologue.testing.wire_server",
    "ReplayTransport": "duologue.testing.replay_transport",
    "StandIn": "duologue.testing.stand_in",
    "WireServer": "duologue.testing.wire_server",
}


def __getattr__(name: str) -> Any:
    """Load what needs sockets when it is first named."""
    if name in _LATER:
        import importlib

        found = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
