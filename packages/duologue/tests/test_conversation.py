"""What the Conversation promises, on sequences written by hand."""

from __future__ import annotations

from typing import Any

import pytest
from duologue import (
    AudioOutputDelta,
    Capabilities,
    Event,
    Interrupted,
    LocalProtocolError,
    Problem,
    Reconnected,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextDelta,
    Tool,
    ToolCancelled,
    ToolInputDelta,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
    WordTime,
)
from duologue.conversation import FENCE_LIMIT, Conversation
from duologue.effects import (
    AddText,
    AnswerCall,
    AskReply,
    Command,
    Deliver,
    DropAudio,
    Effect,
    GiveUpTools,
    Interrupt,
    SayText,
    SetTimer,
    StartTool,
    StopReply,
    StopTool,
    TimerFired,
    ToolFinished,
    ToolReported,
    Truncate,
)

SECOND = bytes(48000)
"""One second of PCM16 at 24 kHz."""


async def nothing() -> None:
    """Do nothing."""


class Rig:
    """A Conversation, a clock set by hand, and what came out of it."""

    def __init__(self, *tools: Tool, **kwargs: Any) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.conversation = Conversation(lambda: self.tools, **kwargs)
        self.now = 0.0
        self.effects: list[Effect] = []

    def feed(self, *what: Event | Command) -> list[Effect]:
        """Apply these; return their effects."""
        new = [effect for item in what for effect in self.conversation.apply(item, self.now)]
        self.effects += new
        return new

    def play(self, seconds: float = 1.0, response_id: str = "", item_id: str = "") -> list[Effect]:
        """Audio arrives and the application takes it at once."""
        taken = self.conversation.audio(
            AudioOutputDelta(bytes(int(seconds * 48000)), response_id=response_id, item_id=item_id), self.now
        )
        if taken is None:
            return []
        self.conversation.delivered(*taken, self.now)
        return [Deliver(taken[0])]

    def call(self, tool_use_id: str, name: str, arguments: str = "{}") -> list[Effect]:
        """A whole call arrives."""
        return self.feed(
            ToolUseStart(0, tool_use_id, name), ToolInputDelta(0, tool_use_id, arguments), ToolUseEnd(0, tool_use_id)
        )

    def of(self, kind: type[Any], effects: list[Effect] | None = None) -> list[Any]:
        """The effects, or delivered events, of a kind."""
        pool = self.effects if effects is None else effects
        delivered = [e.event for e in pool if isinstance(e, Deliver)]
        return [e for e in [*pool, *delivered] if isinstance(e, kind)]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The history as pairs."""
        return [(m.role, m.text) for m in self.conversation.history]


# -- calls ------------------------------------------------------------------------------------------


def test_a_call_starts_when_it_is_complete_and_no_turn_end_is_needed() -> None:
    rig = Rig(Tool("look", nothing))
    assert not rig.of(StartTool, rig.feed(ToolUseStart(0, "a", "look"), ToolInputDelta(0, "a", "{}")))
    assert rig.of(StartTool, rig.feed(ToolUseEnd(0, "a")))


def test_the_answer_is_sent_once_whatever_the_handler_does_later() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    assert rig.of(AnswerCall, rig.feed(ToolFinished("a", "yes"))) == [AnswerCall("a", "look", "yes")]
    assert rig.feed(ToolFinished("a", "again")) == []


def test_two_calls_in_parallel_are_answered_in_the_order_they_finish() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    rig.call("b", "look")
    rig.feed(ToolFinished("b", "B"), ToolFinished("a", "A"))
    assert [e.tool_use_id for e in rig.of(AnswerCall)] == ["b", "a"]


def test_an_unknown_tool_is_answered() -> None:
    rig = Rig()
    effects = rig.call("a", "nope")
    assert rig.of(AnswerCall, effects) == [AnswerCall("a", "nope", "Unknown tool: nope")]
    assert rig.of(ToolResult, effects)[0].is_error


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"city": 3}', '{"town": "Rome"}'])
def test_arguments_that_do_not_fit_are_answered_and_the_handler_does_not_run(arguments: str) -> None:
    async def weather(city: str) -> str:
        return city

    rig = Rig(Tool("weather", weather))
    effects = rig.call("a", "weather", arguments)
    assert not rig.of(StartTool, effects)
    assert rig.of(AnswerCall, effects)[0].content.startswith("error: ")


def test_a_call_that_comes_twice_is_run_and_answered_once() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    effects = rig.call("a", "look")
    assert not rig.of(StartTool, effects)
    assert not rig.of(AnswerCall, effects)
    assert rig.of(Problem, effects)


def test_malformed_arguments_of_a_call_already_known_are_not_answered_again() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    assert not rig.of(AnswerCall, rig.call("a", "look", "{"))


def test_excess_calls_wait_for_a_place() -> None:
    rig = Rig(Tool("look", nothing, concurrency=1))
    rig.call("a", "look")
    assert not rig.of(StartTool, rig.call("b", "look"))
    assert [e.tool_use_id for e in rig.of(StartTool, rig.feed(ToolFinished("a", "A")))] == ["b"]


def test_the_time_limit_counts_from_the_moment_a_call_runs() -> None:
    rig = Rig(Tool("look", nothing, concurrency=1, timeout=5))
    rig.call("a", "look")
    rig.call("b", "look")
    rig.now = 4.0
    effects = rig.feed(ToolFinished("a", "A"))
    assert SetTimer(("tool", "b"), 9.0) in effects


def test_a_call_past_its_time_limit_is_stopped_and_answered() -> None:
    rig = Rig(Tool("look", nothing, timeout=5))
    rig.call("a", "look")
    rig.now = 5.0
    effects = rig.feed(TimerFired(("tool", "a")))
    assert StopTool("a") in effects
    assert rig.of(AnswerCall, effects)[0].content == "error: look was stopped at its time limit of 5 s"
    assert rig.feed(ToolFinished("a", "late")) == []


def test_a_call_the_provider_cancelled_is_stopped_and_not_answered() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    effects = rig.feed(ToolCancelled("a", "look", "provider"))
    assert StopTool("a") in effects
    assert rig.of(ToolCancelled, effects) == [ToolCancelled("a", "look", "provider")]
    assert rig.feed(ToolFinished("a", "late")) == []
    assert not rig.of(AnswerCall)


def test_a_call_cancelled_by_the_provider_before_it_came_is_not_run() -> None:
    rig = Rig(Tool("look", nothing))
    rig.feed(ToolCancelled("a", "look", "provider"))
    rig.call("a", "look")
    assert not rig.of(StartTool)
    assert not rig.of(AnswerCall)


def test_a_tool_without_handler_is_answered_by_the_application() -> None:
    rig = Rig(Tool("ask", None))
    effects = rig.call("a", "ask", '{"x": 1}')
    assert rig.of(ToolStarted, effects) == [ToolStarted("a", "ask", {"x": 1})]
    assert not rig.of(StartTool, effects)
    assert rig.of(AnswerCall, rig.feed(ToolFinished("a", "fine"))) == [AnswerCall("a", "ask", "fine")]


def test_answering_a_call_that_never_was_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="no call 'x'"):
        Rig().feed(ToolFinished("x", "?"))


def test_progress_of_a_call_that_ended_is_not_reported() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    rig.feed(ToolFinished("a", "A"))
    assert rig.feed(ToolReported("a", "half")) == []


def test_closing_answers_every_open_call() -> None:
    rig = Rig(Tool("look", nothing, concurrency=1), Tool("slow", nothing, on_interrupt="keep"))
    rig.call("a", "look")
    rig.call("b", "look")
    rig.call("c", "slow")
    effects = rig.feed(GiveUpTools("closing"))
    assert {e.tool_use_id for e in rig.of(AnswerCall, effects)} == {"a", "b", "c"}
    assert not rig.of(StartTool, effects)
    assert not rig.conversation.busy


# -- calls and interruptions --------------------------------------------------------------------------


def test_an_interruption_follows_each_tools_policy() -> None:
    rig = Rig(*(Tool(name, nothing, on_interrupt=name) for name in ("cancel", "keep", "detach")))
    for name in ("cancel", "keep", "detach"):
        rig.call(name, name)
    effects = rig.feed(Interrupt())
    assert rig.of(StopTool, effects) == [StopTool("cancel")]
    assert rig.of(ToolCancelled, effects) == [ToolCancelled("cancel", "cancel", "interrupted")]
    assert {e.tool_use_id for e in rig.of(AnswerCall, effects)} == {"cancel", "detach"}
    late = rig.feed(*(ToolFinished(name, "done") for name in ("cancel", "keep", "detach")))
    assert rig.of(AnswerCall, late) == [AnswerCall("keep", "keep", "done")]
    assert {e.tool_use_id for e in rig.of(ToolResult, late)} == {"keep", "detach"}


def test_a_second_interruption_does_not_answer_twice() -> None:
    rig = Rig(Tool("look", nothing, on_interrupt="detach"))
    rig.call("a", "look")
    assert rig.of(AnswerCall, rig.feed(Interrupt()))
    assert rig.feed(Interrupt()) == []


def test_an_interruption_starts_no_call_that_waited_for_a_place() -> None:
    rig = Rig(Tool("look", nothing, concurrency=1))
    rig.call("a", "look")
    rig.call("b", "look")
    effects = rig.feed(Interrupt())
    assert not rig.of(StartTool, effects)
    assert {e.tool_use_id for e in rig.of(AnswerCall, effects)} == {"a", "b"}


def test_the_providers_interruption_alone_does_not_touch_tools() -> None:
    rig = Rig(Tool("look", nothing))
    rig.play()
    rig.call("a", "look")
    assert not rig.of(StopTool, rig.feed(Interrupted()))


def test_an_interruption_drops_half_written_calls_for_good() -> None:
    rig = Rig(Tool("look", nothing))
    rig.feed(ToolUseStart(0, "a", "look"), ToolInputDelta(0, "a", "{"))
    rig.feed(Interrupt())
    effects = rig.feed(ToolInputDelta(0, "a", "}"), ToolUseEnd(0, "a"), TurnComplete(StopReason.end_turn))
    assert not rig.of(StartTool, effects)
    assert not rig.of(AnswerCall, effects)


def test_a_call_of_a_reply_we_cut_is_answered_without_running() -> None:
    rig = Rig(Tool("look", nothing))
    rig.play()
    rig.feed(Interrupt())
    effects = rig.call("a", "look")
    assert not rig.of(StartTool, effects)
    assert rig.of(AnswerCall, effects) == [AnswerCall("a", "look", "error: cancelled (interrupted)")]


# -- delivery of results --------------------------------------------------------------------------------


def test_a_when_idle_result_waits_until_nobody_speaks() -> None:
    rig = Rig(Tool("look", nothing, delivery="when_idle"))
    rig.call("a", "look")
    rig.play(2.0)
    effects = rig.feed(ToolFinished("a", "A"))
    assert not rig.of(AnswerCall, effects)
    assert SetTimer(("rest", ""), 2.0) in effects
    rig.now = 2.0
    assert rig.of(AnswerCall, rig.feed(TimerFired(("rest", "")))) == [AnswerCall("a", "look", "A")]


def test_a_when_idle_result_is_sent_at_its_deadline_whoever_speaks() -> None:
    rig = Rig(Tool("look", nothing, delivery="when_idle"))
    rig.call("a", "look")
    rig.feed(SpeechStarted())
    effects = rig.feed(ToolFinished("a", "A"))
    assert not rig.of(AnswerCall, effects)
    assert SetTimer(("held", "a"), 10.0) in effects
    rig.now = 10.0
    assert rig.of(AnswerCall, rig.feed(TimerFired(("held", "a"))))
    assert rig.feed(TimerFired(("held", "a"))) == []


def test_a_when_idle_result_goes_out_when_the_user_stops() -> None:
    rig = Rig(Tool("look", nothing, delivery="when_idle"), turn_detection=TurnDetection(create_response=False))
    rig.call("a", "look")
    rig.feed(SpeechStarted(), ToolFinished("a", "A"))
    assert rig.of(AnswerCall, rig.feed(SpeechStopped()))


def test_a_provider_that_schedules_results_gets_them_at_once() -> None:
    rig = Rig(Tool("look", nothing, delivery="when_idle"), capabilities=Capabilities(result_scheduling=True))
    rig.call("a", "look")
    rig.play(2.0)
    assert rig.of(AnswerCall, rig.feed(ToolFinished("a", "A")))


def test_after_a_reconnection_that_lost_the_session_a_result_goes_in_as_text() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look", "{}")
    rig.feed(Reconnected(resumed=False, gap=1.0))
    effects = rig.feed(ToolFinished("a", "A"))
    assert not rig.of(AnswerCall, effects)
    assert rig.of(AddText, effects) == [AddText("Result of look({}): A", respond=True)]


def test_after_a_resumed_reconnection_a_result_is_a_result() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    rig.feed(Reconnected(resumed=True, gap=1.0))
    assert rig.of(AnswerCall, rig.feed(ToolFinished("a", "A")))


# -- cuts -----------------------------------------------------------------------------------------------


def test_after_our_cut_no_audio_of_a_named_reply_comes_through() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    effects = rig.feed(Interrupt(heard_ms=400))
    assert DropAudio(frozenset({"r1"})) in effects
    assert StopReply() in effects
    assert rig.of(Interrupted, effects)[0].heard_ms == 400
    assert rig.play(1.0, "r1") == []
    assert rig.play(1.0, "r2")


def test_after_our_cut_nameless_audio_is_fenced_until_the_provider_ends_the_reply() -> None:
    rig = Rig()
    rig.play()
    rig.feed(Interrupt())
    assert rig.play() == []
    effects = rig.feed(Interrupted())
    assert not rig.of(Interrupted, effects), "the provider's confirmation is no second cut"
    done = rig.feed(TurnComplete(StopReason.end_turn))
    assert rig.of(TurnComplete, done)[0].stop_reason is StopReason.interrupted
    assert rig.play()


def test_a_nameless_fence_falls_with_another_item() -> None:
    rig = Rig()
    rig.play(item_id="i1")
    rig.feed(Interrupt())
    assert rig.play(item_id="i1") == []
    assert rig.play(item_id="i2")


def test_a_nameless_fence_falls_at_its_deadline() -> None:
    rig = Rig()
    rig.play()
    key = rig.of(SetTimer, rig.feed(Interrupt()))[0].key
    rig.now = FENCE_LIMIT
    rig.feed(TimerFired(key))
    assert rig.play()


def test_a_fence_of_a_full_duplex_model_falls_when_the_user_stops() -> None:
    rig = Rig(capabilities=Capabilities(has_turns=False))
    rig.play()
    rig.feed(Interrupt())
    assert rig.play() == []
    rig.feed(SpeechStarted(), SpeechStopped())
    assert rig.play()


def test_the_fence_of_a_full_duplex_model_is_short() -> None:
    rig = Rig(capabilities=Capabilities(has_turns=False))
    rig.play()
    timer = rig.of(SetTimer, rig.feed(Interrupt()))[0]
    assert timer.at == 1.0
    rig.feed(TimerFired(timer.key))
    assert rig.play()


def test_word_times_of_a_full_duplex_model_count_from_the_sessions_first_audio() -> None:
    rig = Rig(capabilities=Capabilities(has_turns=False))
    rig.play(2.0)
    rig.feed(Interrupt(heard_ms=2000))
    rig.play(1.0)  # fenced, but time goes by
    rig.feed(SpeechStopped())
    rig.play(1.0)
    rig.feed(TranscriptDelta("assistant", "One two", words=(WordTime("One", 3300.0), WordTime("two", 3900.0))))
    rig.feed(Interrupt(heard_ms=400))
    assert rig.texts == [("assistant", "One")]


def test_a_cut_by_the_provider_fences_the_reply_and_says_so_once() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    effects = rig.feed(SpeechStarted(), Interrupted("r1"))
    assert [type(e) for e in rig.of((SpeechStarted, Interrupted), effects)] == [SpeechStarted, Interrupted]
    assert rig.of(Interrupted, rig.feed(Interrupted("r1"))) == []
    assert rig.play(1.0, "r1") == []


def test_interrupting_after_the_providers_cut_only_says_what_was_heard() -> None:
    rig = Rig(capabilities=Capabilities(truncation=True))
    rig.play(2.0, "r1", "i1")
    rig.feed(Interrupted("r1"))
    effects = rig.feed(Interrupt(heard_ms=700))
    assert effects == [Truncate("i1", 700)]
    assert rig.feed(Interrupt(heard_ms=100)) == []


def test_no_more_was_heard_than_was_received() -> None:
    rig = Rig(capabilities=Capabilities(truncation=True))
    rig.play(1.0, "r1", "i1")
    assert Truncate("i1", 1000) in rig.feed(Interrupt(heard_ms=5000))


def test_nothing_is_truncated_before_there_was_audio() -> None:
    rig = Rig(capabilities=Capabilities(truncation=True))
    rig.feed(TextDelta(0, "hm", "r1", "i1"))
    assert not rig.of(Truncate, rig.feed(Interrupt()))


def test_truncation_names_the_item_that_was_playing() -> None:
    rig = Rig(capabilities=Capabilities(truncation=True))
    rig.play(1.0, "r1", "i1")
    rig.play(1.0, "r1", "i2")
    assert Truncate("i2", 500) in rig.feed(Interrupt(heard_ms=1500))


def test_the_second_interrupt_of_a_reply_does_nothing() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    rig.feed(Interrupt())
    assert rig.feed(Interrupt()) == []


def test_the_second_interrupt_does_not_hit_an_older_reply() -> None:
    rig = Rig(capabilities=Capabilities(truncation=True))
    rig.play(1.0, "r1", "i1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.now = 5.0
    rig.play(1.0, "r2", "i2")
    rig.feed(Interrupt(heard_ms=400))
    assert rig.feed(Interrupt(heard_ms=400)) == []


def test_interrupting_when_nothing_plays_does_nothing() -> None:
    rig = Rig()
    assert rig.feed(Interrupt()) == []
    rig.play(1.0, "r1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.now = 1.5
    assert rig.feed(Interrupt()) == [], "it was finished, and played to its end"


def test_the_playback_tail_of_a_finished_reply_is_cut_without_telling_the_provider() -> None:
    rig = Rig(capabilities=Capabilities(truncation=True))
    rig.play(3.0, "r1", "i1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.now = 1.0
    effects = rig.feed(Interrupt())
    assert StopReply() not in effects
    assert rig.of(Interrupted, effects)[0].heard_ms == 1000
    assert Truncate("i1", 1000) in effects


def test_the_device_knows_better_than_the_clock_what_plays() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.now = 1.2
    assert rig.of(Interrupted, rig.feed(Interrupt(heard_ms=900)))[0].heard_ms == 900


def test_a_player_that_plays_nothing_cuts_nothing() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.now = 5.0
    assert rig.feed(Interrupt(heard_ms=0)) == []


def test_a_reply_heard_to_its_end_is_not_cut() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    assert rig.feed(Interrupt(heard_ms=1000)) == []


def test_what_is_queued_behind_the_playing_reply_is_cut_too() -> None:
    rig = Rig()
    rig.play(2.0, "r1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.play(2.0, "r2")
    effects = rig.feed(Interrupt(heard_ms=500))
    assert [(e.response_id, e.heard_ms) for e in rig.of(Interrupted, effects)] == [("r1", 500), ("r2", 0)]


def test_the_application_can_say_which_reply_plays() -> None:
    rig = Rig()
    rig.play(2.0, "r1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.play(2.0, "r2")
    effects = rig.feed(Interrupt(heard_ms=500, response_id="r2"))
    assert [(e.response_id, e.heard_ms) for e in rig.of(Interrupted, effects)] == [("r2", 500)]
    assert rig.feed(Interrupt(heard_ms=100, response_id="r2")) == []


def test_the_providers_cut_also_cuts_the_finished_reply_that_still_plays() -> None:
    rig = Rig()
    rig.play(3.0, "r1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.play(1.0, "r2")
    rig.now = 1.0
    effects = rig.feed(Interrupted("r2"))
    assert [e.response_id for e in rig.of(Interrupted, effects)] == ["r1", "r2"]
    rig.feed(Interrupt(heard_ms=1000))
    assert all(not m.text for m in rig.conversation.history)


def test_a_late_interrupt_for_the_providers_cut_does_not_hit_the_next_reply() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    rig.feed(Interrupted("r1"))
    rig.conversation.audio(AudioOutputDelta(SECOND, response_id="r2"), rig.now)  # received, not yet delivered
    assert rig.feed(Interrupt(heard_ms=500)) == []
    assert rig.play(1.0, "r2")


def test_a_reply_that_was_asked_for_and_has_not_begun_is_stopped() -> None:
    rig = Rig()
    rig.feed(SayText("hi"), AskReply())
    assert rig.feed(Interrupt()) == [StopReply()]
    assert rig.feed(Interrupt()) == []


def test_while_the_user_speaks_nothing_is_sent_that_could_hit_the_new_utterance() -> None:
    rig = Rig()
    rig.feed(SpeechStarted(), SpeechStopped(), SpeechStarted())
    assert rig.feed(Interrupt()) == []


def test_a_backend_that_does_not_cut_by_itself_is_told_even_while_the_user_speaks() -> None:
    rig = Rig(turn_detection=TurnDetection(interrupt=False))
    rig.feed(SpeechStarted(), SpeechStopped(), SpeechStarted())
    assert rig.feed(Interrupt()) == [StopReply()]


def test_a_late_reaction_to_the_users_speech_spares_the_answer_to_it() -> None:
    rig = Rig()
    rig.feed(SpeechStarted(), SpeechStopped())
    rig.conversation.audio(AudioOutputDelta(SECOND, response_id="r2"), rig.now)
    rig.conversation.taken(SpeechStarted())
    assert rig.feed(Interrupt()) == []
    assert rig.play(1.0, "r2")
    rig.feed(SpeechStarted())
    rig.conversation.taken(SpeechStarted())
    assert rig.of(Interrupted, rig.feed(Interrupt())), "the next speech cuts it"


def test_a_late_reaction_still_cuts_what_played_when_the_user_spoke() -> None:
    rig = Rig()
    rig.play(3.0, "r1")
    rig.feed(SpeechStarted(), SpeechStopped())
    rig.conversation.audio(AudioOutputDelta(SECOND, response_id="r2"), rig.now)
    rig.conversation.taken(SpeechStarted())
    assert [e.response_id for e in rig.of(Interrupted, rig.feed(Interrupt()))] == ["r1"]


def test_a_late_reaction_does_not_stop_the_answer_that_is_awaited() -> None:
    rig = Rig()
    rig.feed(SpeechStarted(), SpeechStopped())
    rig.conversation.taken(SpeechStarted())
    assert rig.feed(Interrupt()) == []
    rig.feed(AskReply())
    assert rig.feed(Interrupt()) == [StopReply()], "what the application asked for itself, it can stop"


def test_an_interruption_reported_before_any_reply_is_passed_on() -> None:
    rig = Rig()
    assert rig.of(Interrupted, rig.feed(Interrupted()))[0].response_id


def test_a_turn_without_output_does_not_end_the_reply_before_it() -> None:
    rig = Rig()
    rig.play()
    rig.feed(Interrupt(), TurnComplete(StopReason.interrupted))
    done = rig.of(TurnComplete, rig.feed(TurnComplete(StopReason.tool_use)))
    assert done[0].stop_reason is StopReason.tool_use


def test_an_error_at_the_end_of_a_cut_reply_stays_an_error() -> None:
    rig = Rig()
    rig.play(1.0, "r1")
    rig.feed(Interrupt())
    assert (
        rig.of(TurnComplete, rig.feed(TurnComplete(StopReason.error, response_id="r1")))[0].stop_reason
        is StopReason.error
    )


# -- ids ------------------------------------------------------------------------------------------------


def test_output_without_ids_gets_one_per_reply() -> None:
    rig = Rig()
    first = rig.play()[0].event.response_id
    assert rig.play()[0].event.response_id == first
    done = rig.of(TurnComplete, rig.feed(TurnComplete(StopReason.end_turn)))[0]
    assert done.response_id == first
    assert rig.play()[0].event.response_id not in ("", first)


def test_a_transcript_ahead_of_its_audio_belongs_to_the_same_reply() -> None:
    rig = Rig()
    rig.feed(TranscriptDelta("assistant", "Hello", item_id="i1"))
    rig.play(1.0, "r1", "i1")
    rig.feed(TranscriptDelta("assistant", " there", item_id="i1"))
    assert rig.texts == [("assistant", "Hello there")]
    assert rig.of(Interrupted, rig.feed(Interrupt()))[0].response_id == "r1"


def test_user_events_get_ids_and_times() -> None:
    rig = Rig()
    rig.now = 3.0
    started, stopped, said = (
        e.event
        for e in rig.feed(SpeechStarted(), SpeechStopped(), TranscriptDelta("user", "hi"))
        if isinstance(e, Deliver)
    )
    assert started.item_id
    assert started.item_id == stopped.item_id == said.item_id
    assert (started.at, stopped.at, said.started_at) == (3.0, 3.0, 3.0)


# -- history --------------------------------------------------------------------------------------------


def test_history_is_ordered_by_speech_not_by_arrival() -> None:
    rig = Rig()
    rig.feed(SpeechStarted("u1"), SpeechStopped("u1"))
    rig.now = 1.0
    rig.play(1.0, "r1", "i1")
    rig.feed(TranscriptDelta("assistant", "Fine.", True, "i1"))
    rig.now = 2.0
    rig.feed(TranscriptDelta("user", "How are you?", True, "u1"))
    assert rig.texts == [("user", "How are you?"), ("assistant", "Fine.")]


def test_history_is_cut_at_the_last_word_that_ended_before_the_cut() -> None:
    rig = Rig()
    words = tuple(WordTime(w, t) for w, t in (("One", 300.0), ("two", 600.0), ("three.", 900.0)))
    rig.feed(TranscriptDelta("assistant", "One two three.", words=words, item_id="i1"))
    rig.play(1.0, "r1", "i1")
    rig.feed(Interrupt(heard_ms=600))
    assert rig.texts == [("assistant", "One two")]
    assert not rig.conversation.history[0].heard


def test_without_word_times_a_finished_reply_is_cut_in_proportion() -> None:
    rig = Rig()
    rig.feed(TranscriptDelta("assistant", "aaaa bbbb cccc dddd", item_id="i1"))
    rig.play(2.0, "r1", "i1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"), Interrupt(heard_ms=1000))
    assert rig.texts == [("assistant", "aaaa bbbb")]


def test_a_transcript_far_ahead_of_the_audio_is_cut_by_the_voices_usual_speed() -> None:
    rig = Rig()
    rig.feed(TranscriptDelta("assistant", "x" * 9 + " " + "y" * 10, item_id="i1"))  # 20 characters in 2 s
    rig.play(2.0, "r1", "i1")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r1"))
    rig.now = 5.0
    rig.feed(TranscriptDelta("assistant", "one two three four five six seven", item_id="i2"))
    rig.play(0.5, "r2", "i2")
    rig.feed(Interrupt(heard_ms=500))  # 5 characters' worth
    assert rig.texts[-1] == ("assistant", "one")
    rig.now = 9.0
    rig.feed(TranscriptDelta("assistant", "a" * 200, item_id="i3"))  # a reply at ten times that speed
    rig.play(2.0, "r3", "i3")
    rig.feed(TurnComplete(StopReason.end_turn, response_id="r3"))
    assert rig.texts[1] == ("assistant", "one"), "what was heard does not change by what is learned later"


def test_text_that_comes_in_after_the_cut_counts_up_to_what_was_heard() -> None:
    rig = Rig()
    rig.play(1.0)
    rig.feed(Interrupt(heard_ms=1000))  # 15 characters' worth
    rig.feed(TranscriptDelta("assistant", "late "), TranscriptDelta("assistant", "words and many more of them"))
    assert rig.texts == [("assistant", "late words and")]


def test_a_reply_nobody_heard_is_not_in_the_history() -> None:
    rig = Rig()
    rig.feed(TranscriptDelta("assistant", "Never heard.", item_id="i1"))
    rig.conversation.audio(AudioOutputDelta(SECOND, response_id="r1", item_id="i1"), 0.0)
    rig.feed(Interrupt())
    assert rig.texts == []


def test_the_providers_cut_is_estimated_until_the_device_speaks() -> None:
    rig = Rig()
    words = tuple(WordTime(w, t) for w, t in (("One", 500.0), ("two", 1000.0)))
    rig.feed(TranscriptDelta("assistant", "One two", words=words, item_id="i1"))
    rig.play(1.0, "r1", "i1")
    rig.now = 0.6
    rig.feed(Interrupted("r1"))
    rig.now = 60.0
    assert rig.texts == [("assistant", "One")]
    rig.feed(Interrupt(heard_ms=100))
    assert rig.texts == []


def test_written_text_of_a_cut_reply_stays_as_far_as_it_came() -> None:
    rig = Rig()
    rig.feed(TextDelta(0, "Once upon", "r1"), Interrupt(), TextDelta(0, " a time", "r1"))
    assert rig.texts == [("assistant", "Once upon")]


def test_calls_are_in_the_history_with_their_answers() -> None:
    rig = Rig(Tool("look", nothing))
    rig.call("a", "look")
    rig.call("b", "nope")
    rig.feed(ToolFinished("a", "A"))
    (message,) = rig.conversation.history
    assert [(c.id, c.result, c.is_error) for c in message.calls] == [
        ("a", "A", False),
        ("b", "Unknown tool: nope", True),
    ]


def test_a_user_transcript_without_ids_begins_anew_after_each_turn() -> None:
    rig = Rig()
    rig.feed(TranscriptDelta("user", "One."))
    rig.now = 1.0
    rig.play(0.1)
    rig.feed(TurnComplete(StopReason.end_turn))
    rig.now = 2.0
    rig.feed(TranscriptDelta("user", "Two."), TranscriptDelta("user", " Three."))
    assert rig.texts == [("user", "One."), ("user", "Two. Three.")]


def test_earlier_history_comes_first() -> None:
    before = Rig()
    before.feed(SayText("Hello"))
    rig = Rig(history=before.conversation.history)
    rig.feed(SayText("again"))
    assert rig.texts == [("user", "Hello"), ("user", "again")]
