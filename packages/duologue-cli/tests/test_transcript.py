import io

import pytest
from duologue.errors import DuologueError
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    GoingAway,
    Interrupted,
    Problem,
    Reconnected,
    Reconnecting,
    SpeechStarted,
    TextDelta,
    ToolCancelled,
    ToolProgress,
    ToolResult,
    ToolStarted,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import Message, StopReason
from duologue_cli.outputs import ConsoleOutput
from duologue_cli.summary import PARTS, Latency
from duologue_cli.transcript import LONGEST, Transcript
from hypothesis import given
from hypothesis import strategies as st


def shown(*events):
    transcript = Transcript()
    return "".join(piece.text for event in events for piece in transcript.feed(event))


def you(text, final=False):
    return TranscriptDelta("user", text, final)


def agent(text, final=False):
    return TranscriptDelta("assistant", text, final)


def test_speech_grows_on_its_line():
    assert shown(you("What"), you(" time?"), you("", True), agent("It"), agent(" is one."), agent("", True)) == (
        "you    What time?\nagent  It is one.\n"
    )


def test_text_appears_as_it_comes():
    transcript = Transcript()
    assert [p.text for p in transcript.feed(agent(" It"))] == ["agent  ", "It"]
    assert [p.text for p in transcript.feed(agent(" is"))] == [" is"]
    assert [p.style for p in transcript.feed(you("No", True))] == ["plain", "user", "plain", "plain"]


def test_a_late_recogniser_gets_a_line_of_its_own():
    assert shown(agent("It is"), you("Hi.", True), agent(" one.")) == "agent  It is\nyou    Hi.\nagent  one."


def test_an_utterance_without_words_shows_nothing():
    assert shown(SpeechStarted(), you("", True), you("  ", True), AudioOutputDelta(b"")) == ""


def test_the_end_of_a_turn_ends_the_line():
    assert (
        shown(TextDelta(0, "Yes."), TurnComplete(StopReason.end_turn), TextDelta(0, "No.")) == "agent  Yes.\nagent  No."
    )


def test_tools_are_shown_with_their_time():
    assert shown(
        agent("Wait."),
        ToolStarted("1", "clock", {"city": "Tokyo", "n": 1}),
        ToolProgress("1", "clock", "half"),
        ToolResult("1", "clock", False, "12:45", 0.254),
        ToolResult("2", "clock", True, "error: no", 0.0),
        ToolCancelled("3", "clock", "interrupted"),
    ).splitlines() == [
        "agent  Wait.",
        'tool   clock(city="Tokyo", n=1)',
        "tool   clock: half",
        "tool   clock gave 12:45 in 0.25 s",
        "tool   clock failed error: no in 0.00 s",
        "tool   clock cancelled: interrupted",
    ]


def test_an_interruption_says_what_was_heard():
    transcript = Transcript()
    transcript.feed(agent("Once upon a time"))
    pieces = transcript.interrupted(Interrupted("r", 1450), Message("assistant", "Once upon", heard=False))
    assert "".join(p.text for p in pieces) == '\ncut    interrupted after 1.4 s, heard: "Once upon"\n'
    assert "".join(p.text for p in transcript.interrupted(Interrupted("r"), None)) == "cut    interrupted\n"


def after(latency, *events):
    transcript = Transcript()
    transcript.latency(latency)
    return "".join(piece.text for event in events for piece in transcript.feed(event))


def test_a_latency_is_shown_with_the_parts_that_are_known():
    whole = Latency(150.0, {**dict.fromkeys(PARTS, 30.0), "output": 30.0})
    assert after(whole, TurnComplete(StopReason.end_turn)).strip() == (
        "voice to voice 150 ms (end of turn 30 + recognition 30 + model 30 + voice 30 + output 30)"
    )
    measured = Latency(900.0, {**dict.fromkeys(PARTS), "output": 3.0})
    assert after(measured, TurnComplete(StopReason.end_turn)).strip() == "voice to voice 900 ms"


def test_a_latency_follows_the_whole_answer():
    shown = after(Latency(9.0, {}), you("Hi.", True), agent("It"), agent(" is."), agent("", True), agent("More."))
    assert shown.splitlines() == ["you    Hi.", "agent  It is.", "       voice to voice 9 ms", "agent  More."]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (AgentChanged("Risk"), "now speaking: Risk"),
        (Reconnecting(2, "gone"), "connection lost, attempt 2 to reconnect (gone)"),
        (Reconnected(True, 1.25), "connected again after 1.2 s, the session goes on"),
        (Reconnected(False, 1.25), "connected again after 1.2 s, with a new session"),
        (GoingAway(30.0), "the provider will close the connection in 30 s"),
        (Problem(DuologueError("a bad frame")), "a bad frame"),
        (Problem(ValueError()), "ValueError"),
    ],
)
def test_what_happens_to_the_session_is_a_note(event, text):
    assert shown(event) == f"note   {text}\n"


def test_long_arguments_and_results_are_cut_short():
    assert len(shown(ToolStarted("1", "t", {"a": "x" * 999}))) < LONGEST + 20
    assert shown(ToolResult("1", "t", False, "x" * 999)).count("x") == LONGEST - 3


@given(st.lists(st.text() | st.sampled_from(["\x1b[2J", "\r", "\x07", "\x9b31m", "\n", "\u2028"])))
def test_no_text_can_steer_the_terminal(texts):
    written = shown(*(agent(text) for text in texts), ToolResult("1", "t", False, "".join(texts)))
    assert all(c.isprintable() for c in written.replace("\n", ""))


def console(**kwargs):
    out = io.StringIO()
    return out, ConsoleOutput(out, **kwargs)


def test_elsewhere_than_on_a_terminal_lines_are_plain_and_never_wrapped():
    out, output = console()
    output.begin("Loading...")
    output.done("ready in 1.0 s")
    output.event(agent("[bold]:smile: " + "word " * 60, True), 0.0)
    output.typed("Hello.")
    output.event(Interrupted("r", 500), 1.0, Message("assistant", "Once", heard=False))
    output.latency(Latency(900.0, {"output": 3.0}))
    output.notice("Audio goes nowhere.")
    output.summary({"user": ["a"], "assistant": ["b", "c"], "tools": [{}], "voice_to_voice_ms": [100.0, 300.0]})
    assert out.getvalue().splitlines() == [
        "Loading... ready in 1.0 s",
        "agent  [bold]:smile: " + "word " * 60,
        "you    Hello.",
        'cut    interrupted after 0.5 s, heard: "Once"',
        "       Audio goes nowhere.",
        "       voice to voice 900 ms",
        "       1 user turn, 2 answers, 1 tool call, voice to voice 200 ms (median)",
    ]


def test_a_line_that_the_terminal_has_shown_is_not_repeated():
    out, output = console(echo_typed=False)
    output.typed("Hello.")
    assert out.getvalue() == ""
