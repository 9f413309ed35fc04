"""The live transcript: events as pieces of styled text. Pure; `outputs.py` prints them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from duologue.events import (
    AgentChanged,
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

if TYPE_CHECKING:
    from duologue.types import Message
    from duologue_audio import LoopEvent

    from duologue_cli.summary import Latency

Style: TypeAlias = Literal["user", "assistant", "tool", "cut", "note", "plain"]

WIDTH = 7  # of the label before each line
LONGEST = 200  # characters of a tool's arguments or result that are shown
PART_NAMES = {
    "end_of_turn": "end of turn",
    "asr": "recognition",
    "llm_first": "model",
    "tts_first": "voice",
    "output": "output",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to print as it is, line breaks included."""

    text: str
    style: Style = "plain"


def printable(text: str) -> str:
    """Return `text` on one line and without control characters: a model's words don't steer a terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)


class Transcript:
    """Turns events into lines: `you`, `agent`, `tool`; speech grows on its line as it comes."""

    def __init__(self) -> None:
        self._speaker: str | None = None  # whose line is open
        self._blank = True  # nothing stands on the open line yet
        self._held: list[Piece] = []  # for the end of the reply that is growing

    def feed(self, event: LoopEvent) -> list[Piece]:
        """Return what the event adds."""
        match event:
            case TranscriptDelta(role=role, delta=delta, final=final):
                pieces = self._speech("user" if role == "user" else "assistant", delta)
                return pieces + (self.end_line() if final and self._speaker == role else [])
            case TextDelta(delta=delta):
                return self._speech("assistant", delta)
            case TurnComplete() | SpeechStarted():
                return self.end()
            case ToolStarted(name=name, input=arguments):
                return self.line("tool", f"{name}({arguments_text(arguments)})", "tool")
            case ToolProgress(name=name, content=content):
                return self.line("tool", f"{name}: {short(content)}", "tool")
            case ToolResult(name=name, is_error=failed, content=content, elapsed=elapsed):
                said = content if isinstance(content, str) else ", ".join(type(block).__name__ for block in content)
                word = "failed" if failed else "gave"
                return self.line("tool", f"{name} {word} {short(said)} in {elapsed:.2f} s", "tool")
            case ToolCancelled(name=name, reason=reason):
                return self.line("tool", f"{name} cancelled: {short(reason)}", "tool")
            case _:
                news = news_of(event)
                return self.line("note", news, "note") if news else []

    def interrupted(self, event: Interrupted, reply: Message | None) -> list[Piece]:
        """Return the line of an interruption; `reply` is what the history keeps of the cut reply."""
        after = "" if event.heard_ms is None else f" after {event.heard_ms / 1000:.1f} s"
        heard = f', heard: "{reply.text}"' if reply is not None and reply.text else ""
        return self.line("cut", f"interrupted{after}{heard}", "cut")

    def typed(self, text: str) -> list[Piece]:
        """Return the line of a typed turn."""
        return self.line("you", text, "user")

    def latency(self, latency: Latency) -> None:
        """Take note of an answer's latency: its line follows the answer's own."""
        self._held = [Piece("".ljust(WIDTH)), Piece(latency_text(latency) + "\n", "note")]

    def end(self) -> list[Piece]:
        """Return what is left."""
        return [*self.end_line(), *self._let_go()]

    def line(self, label: str, text: str, style: Style) -> list[Piece]:
        """Return a whole line."""
        return [*self.end_line(), Piece(label.ljust(WIDTH), style), Piece(printable(text) + "\n")]

    def end_line(self) -> list[Piece]:
        """Close the open line, if there is one."""
        ended, self._speaker, self._blank = self._speaker, None, True
        if ended is None:
            return []
        return [Piece("\n"), *(self._let_go() if ended == "assistant" else [])]

    def _let_go(self) -> list[Piece]:
        held, self._held = self._held, []
        return held

    def _speech(self, speaker: Literal["user", "assistant"], delta: str) -> list[Piece]:
        text = printable(delta)
        pieces: list[Piece] = []
        if speaker != self._speaker:
            if not text.strip():
                return []
            pieces = [*self.end_line(), Piece(("you" if speaker == "user" else "agent").ljust(WIDTH), speaker)]
            self._speaker = speaker
        if self._blank:
            text = text.lstrip()
        if text:
            self._blank = False
            pieces.append(Piece(text))
        return pieces


def latency_text(latency: Latency) -> str:
    """Return how long an answer took, with its parts where they are known."""
    known = {PART_NAMES[name]: part for name, part in latency.parts.items() if part is not None}
    parts = " + ".join(f"{name} {part:.0f}" for name, part in known.items())
    named = f" ({parts})" if len(known) > 1 else ""
    return f"voice to voice {latency.voice_to_voice_ms:.0f} ms{named}"


def news_of(event: LoopEvent) -> str:
    """Return what an event says about the session itself, "" where it says nothing."""
    match event:
        case AgentChanged(role=role):
            return f"now speaking: {role}"
        case Reconnecting(attempt=attempt, reason=reason):
            return f"connection lost, attempt {attempt} to reconnect ({short(reason)})"
        case Reconnected(resumed=resumed, gap=gap):
            kept = "the session goes on" if resumed else "with a new session"
            return f"connected again after {gap:.1f} s, {kept}"
        case GoingAway(seconds_left=left):
            return f"the provider will close the connection in {left:.0f} s"
        case Problem(exception=exc):
            return short(str(exc) or type(exc).__name__)
        case _:
            return ""


def arguments_text(arguments: dict[str, Any]) -> str:
    """Return the arguments of a call as they would be typed."""
    given = (f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in arguments.items())
    return short(", ".join(given))


def short(text: str) -> str:
    """Return `text` on one line of some 200 characters."""
    text = printable(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
