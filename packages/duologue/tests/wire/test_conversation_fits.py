"""One Conversation fits all four kinds of provider: their transcripts run through it, frame by frame."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from duologue import (
    AudioOutputDelta,
    Capabilities,
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    Tool,
    ToolCancelled,
    ToolResult,
    TranscriptDelta,
    TurnComplete,
)
from duologue.conversation import Conversation
from duologue.effects import AnswerCall, Deliver, Interrupt, StartTool, ToolFinished

from .decoders import DECODERS
from .transcripts import NAMES, load

CAPABILITIES = {
    "gemini": Capabilities(),
    "openai": Capabilities(truncation=True),
    "distiller": Capabilities(playback_notices=True),
    "gptlive": Capabilities(has_turns=False, paced_output=True),
}

HISTORIES = {
    "gemini": [
        ("user", "What's the weather in Paris?"),
        ("assistant", "get_weather -> done"),
        ("assistant", "In Paris it is sunny, eighteen degrees."),
        ("user", "And in Rome and Oslo?"),
        ("assistant", "get_weather -> done, get_weather -> None"),
        # the interrupted reply had 80 ms of audio: nothing of it was heard
        ("user", "Stop, thank you."),
        ("assistant", "Fine."),
    ],
    "openai": [
        ("user", "Good morning."),  # its text came after the reply to it
        ("assistant", "Hello, how can I help?"),
        ("user", "What time is it in Tokyo and Lima?"),
        ("assistant", "get_time -> done, get_time -> done"),
        ("user", "And in Cairo?"),
    ],
    "distiller": [
        ("user", "Plan my afternoon."),
        ("assistant", "Let me look at your calendar. Calendar -> done"),
        ("assistant", "You are free from three to five."),
        ("user", "What should I do first?"),
        ("user", "Never mind."),
        ("assistant", "All right, I will"),
        ("assistant", "Enjoy your day."),
    ],
    "gptlive": [
        ("user", "What time is it in Tokyo?"),
        ("assistant", "Mm-hm. get_time -> done"),
        ("assistant", "It's four past nine in Tokyo."),
        ("user", "Oh, thanks."),
    ],
}


class Run:
    """A transcript's incoming frames, decoded and applied at their times; tools answer at once."""

    def __init__(self, name: str) -> None:
        tools = {t.name: t for t in (Tool("get_weather", None), Tool("get_time", None), Tool("Calendar", None))}
        self.conversation = Conversation(lambda: tools, capabilities=CAPABILITIES[name])
        self.events: list[Any] = []
        self.effects: list[Any] = []
        decoder = DECODERS[name]()
        transcript = load(name)
        for frame in transcript.frames:
            if frame.dir == "out":
                self._do(frame.frame, frame.t)
                continue
            for event in decoder.decode(frame.frame):
                if isinstance(event, AudioOutputDelta):
                    taken = self.conversation.audio(event, frame.t)
                    if taken is not None:
                        self.conversation.delivered(*taken, frame.t)
                        self.events.append(taken[0])
                else:
                    self._see(self.conversation.apply(event, frame.t))

    def _do(self, frame: dict[str, Any], now: float) -> None:
        """What we did in the transcript: answer a call, or cut a reply."""
        answered = [r["id"] for r in frame.get("toolResponse", {}).get("functionResponses", [])]
        answered += [frame["item"]["call_id"]] if frame.get("item", {}).get("type") == "function_call_output" else []
        answered += [frame["request_id"]] if frame.get("request_type") == "executor" else []
        for call in answered:
            self._see(self.conversation.apply(ToolFinished(call, "done"), now))
        # OpenAI's cancel is ours too, and comes a second time; the Distiller's only skips to the next agent
        if frame.get("type") == "conversation.item.truncate" or "cancel" in frame.get("event_id", ""):
            self._see(self.conversation.apply(Interrupt(frame.get("audio_end_ms", 40)), now))

    def _see(self, effects: list[Any]) -> None:
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Deliver):
                self.events.append(effect.event)


@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_what_was_said_and_heard(name: str) -> None:
    told = []
    for message in Run(name).conversation.history:
        calls = ", ".join(f"{c.name} -> {c.result}" for c in message.calls)
        told.append((message.role, " ".join(filter(None, (message.text, calls)))))
    assert told == HISTORIES[name]


@pytest.mark.parametrize("name", NAMES)
def test_output_is_named_and_nothing_follows_a_cut(name: str) -> None:
    run = Run(name)
    cut: set[str] = set()
    for event in run.events:
        match event:
            case Interrupted():
                assert event.response_id not in cut, "a reply was reported as cut twice"
                cut.add(event.response_id)
            case AudioOutputDelta() | TextDelta() | TurnComplete():
                assert event.response_id
                assert not (isinstance(event, AudioOutputDelta) and event.response_id in cut)
            case TranscriptDelta():
                assert event.item_id
                assert event.started_at is not None
            case SpeechStarted() | SpeechStopped():
                assert event.item_id
                assert event.at is not None
            case _:
                pass


@pytest.mark.parametrize("name", NAMES)
def test_each_call_has_one_end_and_one_answer_unless_it_was_withdrawn(name: str) -> None:
    run = Run(name)
    ends = Counter(e.tool_use_id for e in run.events if isinstance(e, ToolResult | ToolCancelled))
    answers = Counter(e.tool_use_id for e in run.effects if isinstance(e, AnswerCall))
    withdrawn = {e.tool_use_id for e in run.events if isinstance(e, ToolCancelled)}
    assert ends
    assert set(ends.values()) == {1}
    assert answers == {call: 1 for call in ends if call not in withdrawn}
    assert not [e for e in run.effects if isinstance(e, StartTool)], "these tools have no handler"


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_of_an_item_is_the_sum_of_its_deltas(name: str) -> None:
    texts: dict[str, str] = {}
    for event in Run(name).events:
        if isinstance(event, TranscriptDelta):
            texts[event.item_id] = texts.get(event.item_id, "") + event.delta
    whole = set(texts.values())
    for role, text in HISTORIES[name]:
        said = text.split(" get_")[0].split(" Calendar ->")[0]
        if role == "user" or "->" not in said:
            assert any(w.strip().startswith(said) for w in whole), (said, whole)
