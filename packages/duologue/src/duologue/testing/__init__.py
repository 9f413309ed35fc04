"""The test kit: scripted backends, a virtual clock, leak checks, strategies and the transport contract."""

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

__all__ = [
    "CallAnswered",
    "Committed",
    "ContentSent",
    "End",
    "Expect",
    "PlaybackNoticed",
    "Record",
    "ReplyStopped",
    "ScriptedSession",
    "ScriptedTransport",
    "TransportContract",
    "Truncated",
    "VirtualClock",
    "Wait",
    "assert_no_leaks",
    "speech",
    "tone",
    "virtual_time",
]
