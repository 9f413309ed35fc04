"""The transcript that the core keeps of a session reads here as it does there."""

import json
from pathlib import Path

from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Interrupted,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import StopReason
from duologue.wire import Opening
from duologue_distiller import DistillerCodec, Place

FILE = Path(__file__).parents[2] / "duologue/tests/wire/distiller.jsonl"
STORY = """
    SessionStarted
    user "Plan my " · user "afternoon" · user "." end
    provider response.created
    agent Planner · assistant "Let me look at " · audio · assistant "your calendar." · audio
    call 0 r-1 Calendar · r-1 {"query": "free slots today"} · complete r-1
    assistant "" end · agent Coach · assistant "You are free from three to five." · audio · audio
    assistant "" end · TurnComplete end_turn
    user "What should I do first?" end
    provider response.created
    assistant "First, take a walk " · audio · audio
    assistant "" end · SpeechStarted · Interrupted · TurnComplete interrupted
    user "Never mind." · user "" end
    provider response.created
    agent Planner · assistant "All right, I will " · audio
    assistant "" end · agent Coach · assistant "Enjoy your day." · audio
    assistant "" end · TurnComplete end_turn
    provider session.heartbeat_statistics
"""


def told(event) -> str:
    match event:
        case AudioOutputDelta():
            return "audio"
        case TranscriptDelta():
            return f'{event.role} "{event.delta}"{" end" if event.final else ""}'
        case ToolUseStart():
            return f"call {event.index} {event.tool_use_id} {event.name}"
        case ToolInputDelta():
            return f"{event.tool_use_id} {event.partial_json}"
        case ToolUseEnd():
            return f"complete {event.tool_use_id}"
        case TurnComplete():
            return f"TurnComplete {event.stop_reason.value}"
        case ProviderEvent():
            return f"provider {event.kind}"
        case AgentChanged():
            return f"agent {event.role}"
        case _:
            return type(event).__name__


def test_the_session_of_the_day_planner():
    codec = DistillerCodec(Opening(), Place("day-planner", "u1"))
    frames = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()[1:]]
    events = [e for frame in frames if frame["dir"] == "in" for e in codec.decode(json.dumps(frame["frame"]))]
    lines = (line.strip() for line in STORY.strip().splitlines())
    assert [told(e) for e in events] == [entry for line in lines for entry in line.split(" · ")]
    assert [e.stop_reason for e in events if isinstance(e, TurnComplete)][1] is StopReason.interrupted
    assert codec.outgoing == ['{"type":"PONG"}']
    assert any(isinstance(e, SpeechStarted) for e in events)
    assert any(isinstance(e, Interrupted) for e in events)
    assert isinstance(events[0], SessionStarted)
