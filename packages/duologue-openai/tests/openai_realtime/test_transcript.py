"""The wire transcript of a whole session: what it says, and that no mutilation of it makes the codec raise."""

import json
import random
from pathlib import Path

from duologue import (
    AudioOutputDelta,
    Problem,
    ProviderEvent,
    ToolCallAssembler,
    ToolInputDelta,
    ToolUseBlock,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue_openai import OpenAICodec, OpenAIServerCodec
from duologue_openai.plan import SessionPlan
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).parents[3] / "duologue" / "tests" / "wire" / "openai.jsonl"
LINES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()[1:]]
INCOMING = [line["frame"] for line in LINES if line["dir"] == "in"]
OUTGOING = [line["frame"] for line in LINES if line["dir"] == "out"]

STORY = """
    SessionStarted · provider session.updated
    SpeechStarted · SpeechStopped
    provider response.created
    assistant "Hello," · audio · assistant " how can I help?" · audio · assistant "" end
    TurnComplete end_turn · provider rate_limits.updated
    user "Good " · user "morning." · user "" end
    SpeechStarted · SpeechStopped
    provider response.created
    call 0 call_a get_time · call 1 call_b get_time
    call_a {"city": · call_b {"ci · call_a  "Tok · call_b ty": "Lima"} · call_a yo"}
    complete call_b · complete call_a · TurnComplete tool_use
    user "What time is it in Tokyo and Lima?" end
    provider response.created
    assistant "It is nine in the evening in Tokyo" · audio · audio
    SpeechStarted · assistant "" end · Interrupted · TurnComplete interrupted
    provider conversation.item.truncated · SpeechStopped
    provider response.created
    user "And in Cairo?" end
    assistant "In Cairo" · audio · audio · audio
    assistant "" end · Interrupted · TurnComplete interrupted
    provider conversation.item.truncated
    Problem
"""


def told(event):
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
        case _:
            return type(event).__name__


def parts(story):
    return [part for line in story.strip().splitlines() for part in line.strip().split(" · ")]


def test_the_transcript_says_what_it_says():
    codec = OpenAICodec(SessionPlan())
    events = [event for frame in INCOMING for event in codec.decode(json.dumps(frame))]
    assert [told(event) for event in events] == parts(STORY)
    assembler = ToolCallAssembler()
    calls = [
        block
        for event in events
        if isinstance(event, ToolUseStart | ToolInputDelta | ToolUseEnd)
        for block in assembler.feed(event)
    ]
    assert calls == [
        ToolUseBlock("call_b", "get_time", {"city": "Lima"}),
        ToolUseBlock("call_a", "get_time", {"city": "Tokyo"}),
    ]
    assert codec.outgoing == []


def mutilated(seed, frame):
    """Something random is done to a random place of a frame."""
    chance = random.Random(seed)
    whole = json.loads(json.dumps(frame))
    places = [(whole, key) for key in whole]
    for node in list(whole.values()):
        if isinstance(node, dict):
            places += [(node, key) for key in node]
    node, key = chance.choice(places)
    wrong = [None, 0, -1, 1.5, "", "x", [], {}, [None], {"id": 3}, True, "\ud800", 10**30]
    what = chance.randrange(3)
    if what == 0:
        del node[key]
    elif what == 1:
        node[key] = chance.choice(wrong)
    else:
        node[f"{key}?"] = chance.choice(wrong)
    text = json.dumps(whole)
    if chance.random() < 0.1:
        text = text[: chance.randrange(len(text))]
    return text


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=8), st.integers(0, len(INCOMING) - 1))
def test_no_mutilated_frame_ends_the_session(seeds, at):
    codec = OpenAICodec(SessionPlan())
    for frame in INCOMING[:at]:
        codec.decode(json.dumps(frame))
    for seed in seeds:
        codec.decode(mutilated(seed, INCOMING[at]))
    fresh = {"type": "response.output_text.delta", "response_id": "new", "item_id": "new", "delta": "on"}
    [event] = codec.decode(json.dumps(fresh))
    assert event.delta == "on"


@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, len(OUTGOING) - 1)), max_size=12))
def test_no_mutilated_client_frame_ends_the_servers_session(choices):
    from duologue import SessionStarted

    codec = OpenAIServerCodec()
    codec.greet()
    codec.encode(SessionStarted())
    for seed, which in choices:
        codec.decode(mutilated(seed, OUTGOING[which]))
    codec.outgoing.clear()
    assert codec.decode('{"type":"input_audio_buffer.append","audio":"AAA="}')[0].block.data == b"\0\0"
    assert codec.outgoing == []


@given(st.binary(max_size=60))
def test_no_garbage_ends_the_session(data):
    for event in OpenAICodec(SessionPlan()).decode(data):
        assert isinstance(event, Problem | ProviderEvent)
