"""Captures replayed: through the codec and the Conversation, through an agent, and what files may hold."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from duologue import (
    AudioOutputDelta,
    ConfigurationError,
    Event,
    Interrupted,
    RealtimeAgent,
    Reconnected,
    SessionClosed,
    TextBlock,
    ToolResult,
    TranscriptDelta,
    TurnComplete,
    tool,
)
from duologue.testing import ReplayTransport, StandIn, VirtualClock
from duologue.testing.toy import ToyTransport
from duologue.wire import Opening
from duologue.wire.recording import Recording
from duologue.wire.replay import ReplayedConversation

from .scenes import scene

pytest_plugins = ["duologue.testing.fixtures"]

KEY = "sk-this-is-a-secret"


@tool
async def clock() -> str:
    """Tell the time."""
    return "noon"


def codec_of(path):
    return partial(ToyTransport.replay_codec, Recording(path).session)


@pytest.fixture
def capture(tmp_path):
    """A conversation with a call, a loss, an interruption, and a key that must not be in it."""
    path = tmp_path / "session.jsonl"
    seen: list[Event] = []
    history = []

    async def talk() -> None:
        async with scene(StandIn(pace=0.08), tools=[clock], capture=path, api_key=KEY, leaks=False) as talk:
            await talk.agent.send(TextBlock(f"is {KEY} a good key"))
            await talk.until(TurnComplete)
            await talk.agent.send(TextBlock("call clock"))
            await talk.until(ToolResult)
            await talk.until(TurnComplete, count=3)
            await asyncio.sleep(1)
            talk.server.peer.abort()
            await talk.until(Reconnected)
            await talk.agent.send(TextBlock("story 40"))
            await talk.until(lambda e: isinstance(e, TranscriptDelta) and "word5" in e.delta)
            await talk.agent.interrupt(heard_ms=200)
            await talk.until(Interrupted)
            await talk.speak(0.5)
            await talk.until(TurnComplete, count=5)
            seen.extend(talk.seen)
            history.extend(talk.agent.history)

    VirtualClock().run(talk())
    return path, seen, history


def said(events):
    """What happened, without the texts in which a key was hidden."""
    return [type(e).__name__ for e in events if not isinstance(e, TranscriptDelta)]


def wait_for(path):
    """The thread that writes a capture ends by itself, soon."""
    import time

    until = time.monotonic() + 5
    while time.monotonic() < until and '"end"' not in path.read_text().splitlines()[-1]:
        time.sleep(0.001)


def test_a_replay_is_what_the_application_saw(capture, replay_capture):
    path, seen, history = capture
    wait_for(path)
    outcome = replay_capture(path, codec_of(path))
    assert outcome.differences == []
    assert said(e for _, e in outcome.events) == said(seen)
    pieces = [e.data for _, e in outcome.events if isinstance(e, AudioOutputDelta)]
    assert pieces == [e.data for e in seen if isinstance(e, AudioOutputDelta)]
    assert [t for t, _ in outcome.events] == sorted(t for t, _ in outcome.events)
    assert [m.role for m in outcome.history] == [m.role for m in history]
    assert [m.text for m in outcome.history if m.role == "user"][1:] == [m.text for m in history if m.role == "user"][
        1:
    ]


def test_an_agent_can_be_run_against_a_replay(capture):
    path, seen, _ = capture
    wait_for(path)

    async def run() -> list[Event]:
        transport = ReplayTransport(path, codec_of(path))
        async with RealtimeAgent("", transport, [clock]) as agent:
            events = [event async for event in agent.events()]
            with pytest.raises(SessionClosed):
                await agent.send(TextBlock("too late"))
        assert transport.sessions[0].differences == []
        return events

    events = VirtualClock().run(run())
    assert "ToolResult" in said(events)
    assert [e for e in events if isinstance(e, Reconnected)] == [e for e in seen if isinstance(e, Reconnected)]


def test_a_capture_holds_no_key_and_says_what_made_it(capture):
    path, _, _ = capture
    wait_for(path)
    text = path.read_text()
    assert KEY not in text
    header = json.loads(text.splitlines()[0])
    assert header["capture"] == 1
    assert header["duologue"]
    assert header["packages"]["websockets"]
    assert header["session"]["transport"] == "toy"


def test_a_codec_that_sends_otherwise_is_found_out(capture):
    path, _, _ = capture
    wait_for(path)
    session = {**Recording(path).session, "system": "Be different."}
    conversation = ReplayedConversation(path, lambda opening: ToyTransport.replay_codec(session, opening))
    assert list(conversation.events())
    assert len(conversation.differences) == 2  # the greeting of each connection
    assert "Be different" in conversation.differences[0]


def test_a_capture_that_breaks_off_is_replayed_as_far_as_it_goes(capture, tmp_path):
    path, seen, _ = capture
    wait_for(path)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(path.read_bytes()[:-40])
    conversation = ReplayedConversation(cut, codec_of(path))
    assert len(list(conversation.events())) > len(seen) / 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no capture"),
        ("not json\n", "is no capture"),
        ("[]\n", "is no capture"),
        ('{"capture": "one"}\n', "is no capture"),
        ('{"capture": 99, "duologue": "9.0"}\n', "install duologue 9.0"),
    ],
)
def test_files_that_are_no_captures_say_so(tmp_path, text, message):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        Recording(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="can't be read: No such file"):
        Recording(tmp_path / "none")


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", '{"t": "x"}', '{"t": 1, "n": 1, "ask": {"kind": "Unheard"}}'])
def test_a_line_that_makes_no_sense_is_named(tmp_path, line):
    path = tmp_path / "file"
    path.write_text(f'{{"capture": 1, "session": {{}}}}\n{line}\n')
    with pytest.raises(ConfigurationError, match=r"line 2|a capture holds"):
        list(Recording(path).lines())


@pytest.mark.parametrize(
    ("session", "message"), [({}, "does not say which transport"), ({"transport": "nobody"}, "no transport 'nobody'")]
)
def test_a_capture_of_an_unknown_transport_says_so(tmp_path, session, message):
    path = tmp_path / "file"
    path.write_text(json.dumps({"capture": 1, "session": session}) + "\n")
    with pytest.raises(ConfigurationError, match=message):
        ReplayedConversation(path)


def test_the_toy_makes_its_codec_from_what_it_noted():
    noted = {"system": "s", "tools": [], "voice": None, "turn_detection": None}
    assert ToyTransport.replay_codec(noted, Opening()).opening() == ['{"type":"hello","system":"s"}']
