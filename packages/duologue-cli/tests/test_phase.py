"""Who has the floor, from the events."""

import pytest
from duologue.events import Interrupted, SpeechStarted, SpeechStopped, ToolResult, ToolStarted, TurnComplete
from duologue.types import StopReason
from duologue_cli.phase import PATIENCE_S, SHOWN_S, Phase, Phases


@pytest.fixture
def phases():
    return Phases()


def test_nothing_happens_so_it_listens(phases):
    assert phases.at(1.0, playing=False) is Phase.listening


def test_what_plays_is_speaking_whatever_else_happens(phases):
    phases.feed(SpeechStopped(), 1.0)
    assert phases.at(1.1, playing=True) is Phase.speaking


def test_it_thinks_from_the_end_of_speech_to_the_end_of_the_turn(phases):
    phases.feed(SpeechStarted(), 1.0)
    assert phases.at(1.5, playing=False) is Phase.listening
    phases.feed(SpeechStopped(), 2.0)
    assert phases.at(2.5, playing=False) is Phase.thinking
    phases.feed(TurnComplete(StopReason.end_turn), 3.0)
    assert phases.at(3.1, playing=False) is Phase.listening


def test_it_does_not_think_for_ever_where_no_answer_comes(phases):
    phases.asked(1.0)
    assert phases.at(1.0 + PATIENCE_S - 0.1, playing=False) is Phase.thinking
    assert phases.at(1.0 + PATIENCE_S, playing=False) is Phase.listening


def test_a_tool_is_thinking_however_long_it_takes_and_so_is_what_follows(phases):
    phases.feed(ToolStarted("c", "t", {}), 1.0)
    phases.feed(TurnComplete(StopReason.tool_use), 1.1)
    assert phases.at(1.0 + 10 * PATIENCE_S, playing=False) is Phase.thinking
    phases.feed(ToolResult("c", "t", False), 100.0)
    assert phases.at(100.5, playing=False) is Phase.thinking


def test_an_interruption_is_shown_as_long_as_the_user_speaks(phases):
    phases.feed(SpeechStarted(), 1.0)
    phases.feed(Interrupted("r1"), 1.0)
    phases.feed(TurnComplete(StopReason.interrupted), 1.0)
    assert phases.at(1.0 + 5 * SHOWN_S, playing=False) is Phase.interrupted
    phases.feed(SpeechStopped(), 12.0)
    assert phases.at(12.1, playing=False) is Phase.thinking


def test_an_interruption_by_a_key_is_shown_for_a_moment(phases):
    phases.feed(Interrupted("r1"), 1.0)
    assert phases.at(1.0 + SHOWN_S - 0.1, playing=False) is Phase.interrupted
    assert phases.at(1.0 + SHOWN_S, playing=False) is Phase.listening


def test_a_tool_that_ends_after_the_cut_does_not_look_like_thinking(phases):
    phases.feed(ToolStarted("c", "t", {}), 1.0)
    phases.feed(Interrupted("r1"), 2.0)
    phases.feed(ToolResult("c", "t", False), 2.1)
    assert phases.at(2.0 + SHOWN_S, playing=False) is Phase.listening
