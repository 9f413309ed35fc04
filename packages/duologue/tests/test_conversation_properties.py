"""The invariants of the Conversation, on random interleavings of everything that can happen."""

from __future__ import annotations

from collections import Counter

from duologue import (
    AudioOutputDelta,
    Capabilities,
    Event,
    Interrupted,
    Reconnected,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    Tool,
    ToolCancelled,
    ToolInputDelta,
    ToolResult,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.conversation import Conversation
from duologue.effects import (
    AddText,
    AnswerCall,
    AskReply,
    ClearTimer,
    Command,
    Deliver,
    Effect,
    GiveUpTools,
    Interrupt,
    SetTimer,
    StartTool,
    StopTool,
    TimerFired,
    TimerKey,
    ToolFinished,
    Truncate,
)
from duologue.replies import Reply
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

TOOLS = {
    "plain": Tool("plain", lambda: None, timeout=5.0),
    "keep": Tool("keep", lambda: None, on_interrupt="keep", timeout=None),
    "detach": Tool("detach", lambda: None, on_interrupt="detach", delivery="when_idle"),
    "single": Tool("single", lambda: None, concurrency=1, delivery="when_idle", timeout=3.0),
    "ask": Tool("ask", None, on_interrupt="keep"),
}


class ConversationMachine(RuleBasedStateMachine):
    """A provider, an application and a clock that do as they please."""

    @initialize(named=st.booleans(), has_turns=st.booleans())
    def begin(self, named: bool, has_turns: bool) -> None:
        self.named = named
        self.conversation = Conversation(lambda: TOOLS, capabilities=Capabilities(has_turns=has_turns, truncation=True))
        self.now = 0.0
        self.calls = 0
        self.responses = 0
        self.written: dict[str, str] = {}  # calls whose fragments are on their way
        self.complete: set[str] = set()
        self.withdrawn: set[str] = set()
        self.started: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.lost: set[str] = set()
        self.ends: Counter[str] = Counter()
        self.cuts: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.waiting: list[tuple[AudioOutputDelta, Reply]] = []
        self.timers: dict[TimerKey, float] = {}

    def feed(self, what: Event | Command) -> None:
        for effect in self.conversation.apply(what, self.now):
            self.see(effect)

    def see(self, effect: Effect) -> None:
        match effect:
            case StartTool(tool_use_id=call):
                assert call not in self.started, "a call was run twice"
                assert call in self.complete, "a call was run before it was complete"
                self.started.add(call)
            case StopTool(tool_use_id=call):
                assert call in self.complete
            case AnswerCall(tool_use_id=call):
                assert call not in self.withdrawn, "a call that the provider cancelled was answered"
                assert call not in self.lost, "a call of a lost connection got a function result"
                self.answers[call] += 1
            case AddText():
                self.answers["text"] += 1
            case Truncate(heard_ms=heard):
                assert heard >= 0
            case SetTimer(key=key, at=at):
                self.timers[key] = at
            case ClearTimer(key=key):
                self.timers.pop(key, None)
            case Deliver(event=Interrupted(response_id=response_id, heard_ms=heard_ms)):
                assert response_id
                self.cuts[response_id] += 1
                assert heard_ms is None or 0 <= heard_ms <= self.received[response_id]
                self.waiting = [w for w in self.waiting if w[1].id != response_id]
            case Deliver(event=ToolResult(tool_use_id=call)) | Deliver(event=ToolCancelled(tool_use_id=call)):
                self.ends[call] += 1

    @rule(ms=st.integers(1, 2000), fresh=st.booleans())
    def speak(self, ms: int, fresh: bool) -> None:
        if fresh or not self.responses:
            self.responses += 1
        name = f"r{self.responses}" if self.named else ""
        taken = self.conversation.audio(AudioOutputDelta(bytes(48 * ms), response_id=name), self.now)
        if taken is not None:
            event, reply = taken
            assert event.response_id == reply.id
            assert event.response_id
            assert not self.cuts[event.response_id], "audio of a cut reply came through"
            self.received[event.response_id] += ms
            self.waiting.append(taken)

    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        for event, reply in self.waiting[:count]:
            self.conversation.delivered(event, reply, self.now)
        del self.waiting[:count]

    @rule(text=st.text(max_size=20), final=st.booleans())
    def transcribe(self, text: str, final: bool) -> None:
        self.feed(TranscriptDelta("assistant", text, final))

    @rule(reason=st.sampled_from(StopReason))
    def end_turn(self, reason: StopReason) -> None:
        self.feed(TurnComplete(reason, response_id=f"r{self.responses}" if self.named and self.responses else ""))

    @rule()
    def user_starts(self) -> None:
        self.feed(SpeechStarted())

    @rule()
    def user_stops(self) -> None:
        self.feed(SpeechStopped())

    @rule()
    def ask(self) -> None:
        self.feed(AskReply())

    @rule()
    def provider_cuts(self) -> None:
        self.feed(Interrupted(f"r{self.responses}" if self.named and self.responses else ""))

    @rule(heard=st.none() | st.integers(0, 5000))
    def application_cuts(self, heard: int | None) -> None:
        self.written.clear()
        self.feed(Interrupt(heard))

    @rule(name=st.sampled_from([*TOOLS, "unknown"]), broken=st.booleans())
    def call_begins(self, name: str, broken: bool) -> None:
        self.calls += 1
        call = f"c{self.calls}"
        self.written[call] = "{" if broken else "{}"
        self.feed(ToolUseStart(0, call, name))

    @rule(data=st.data())
    def call_completes(self, data: st.DataObject) -> None:
        if self.written:
            call = data.draw(st.sampled_from(sorted(self.written)))
            text = self.written.pop(call)
            self.complete.add(call)
            self.feed(ToolInputDelta(0, call, text))
            self.feed(ToolUseEnd(0, call))

    @rule(data=st.data())
    def provider_repeats_a_call(self, data: st.DataObject) -> None:
        if self.complete:
            call = data.draw(st.sampled_from(sorted(self.complete)))
            self.feed(ToolUseStart(0, call, "plain"))
            self.feed(ToolUseEnd(0, call))

    @rule(data=st.data(), is_error=st.booleans())
    def tool_finishes(self, data: st.DataObject, is_error: bool) -> None:
        if self.started:
            self.feed(ToolFinished(data.draw(st.sampled_from(sorted(self.started))), "done", is_error))

    @rule(data=st.data())
    def provider_withdraws(self, data: st.DataObject) -> None:
        if self.complete:
            call = data.draw(st.sampled_from(sorted(self.complete)))
            self.feed(ToolCancelled(call, "?", "provider"))
            if not self.answers[call]:
                self.withdrawn.add(call)

    @rule(resumed=st.booleans())
    def reconnect(self, resumed: bool) -> None:
        if not resumed:
            self.written.clear()
            self.lost |= {c for c in self.complete if not self.answers[c]}
        self.feed(Reconnected(resumed, 1.0))

    @rule(seconds=st.floats(0.0, 12.0))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while due := sorted((at, key) for key, at in self.timers.items() if at <= until):
            at, key = due[0]
            del self.timers[key]
            self.now = max(self.now, at)
            self.feed(TimerFired(key))
        self.now = until

    @invariant()
    def one_answer_per_call(self) -> None:
        if hasattr(self, "answers"):
            assert all(n <= 1 for call, n in self.answers.items() if call != "text")

    @invariant()
    def one_cut_per_reply(self) -> None:
        if hasattr(self, "cuts"):
            assert all(n <= 1 for n in self.cuts.values())

    @invariant()
    def history_can_always_be_read(self) -> None:
        if hasattr(self, "conversation"):
            for message in self.conversation.history:
                assert message.text or message.calls

    def teardown(self) -> None:
        if not hasattr(self, "conversation"):
            return
        self.feed(GiveUpTools("closing"))
        assert not self.conversation.busy
        for call in self.complete:
            assert self.ends[call] >= 1, f"the application never learned what became of {call}"
            if call not in self.withdrawn and call not in self.lost:
                assert self.answers[call] == 1, f"{call} was answered {self.answers[call]} times"


TestConversation = ConversationMachine.TestCase
TestConversation.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
