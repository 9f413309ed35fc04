"""Where a conversation is shown: a live transcript for people, or JSON lines for programs."""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from duologue.events import Interrupted

from duologue_cli.jsonlines import event_object, json_line
from duologue_cli.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue.types import Message
    from duologue_audio import LoopEvent
    from rich.console import RenderableType

    from duologue_cli.summary import Latency
    from duologue_cli.transcript import Piece

STYLES = {
    "user": "bold cyan",
    "assistant": "bold green",
    "tool": "yellow",
    "cut": "bold red",
    "note": "dim",
    "plain": "",
}


class Output(Protocol):
    """What the chat tells as it goes."""

    def notice(self, text: str) -> None:
        """Say something about the command itself, such as where audio goes."""
        ...

    def begin(self, text: str) -> None:
        """Say that something takes a while; `done` follows."""
        ...

    def progress(self, text: str) -> None:
        """Say how far it is."""
        ...

    def done(self, text: str) -> None:
        """Say that it is over."""
        ...

    def typed(self, text: str, t: float = 0.0) -> None:
        """Show a turn that was typed at `t`."""
        ...

    def event(self, event: LoopEvent, t: float, reply: Message | None = None) -> None:
        """Show an event; `reply` is what the history keeps of a reply that this event cut."""
        ...

    def latency(self, latency: Latency) -> None:
        """Show how long an answer took."""
        ...

    def summary(self, summary: dict[str, Any]) -> None:
        """Show the end."""
        ...


class JsonOutput:
    """One JSON object a line on standard output; notices go to standard error."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def notice(self, text: str) -> None:
        """Write to standard error."""
        print(text, file=self._err, flush=True)

    def begin(self, text: str) -> None:
        """Show nothing: a program can wait."""

    def progress(self, text: str) -> None:
        """Show nothing."""

    def done(self, text: str) -> None:
        """Show nothing."""

    def typed(self, text: str, t: float = 0.0) -> None:
        """Show nothing: the summary holds the text."""

    def event(self, event: LoopEvent, t: float, reply: Message | None = None) -> None:
        """Write the event."""
        print(json_line(event_object(event, t)), file=self._out, flush=True)

    def latency(self, latency: Latency) -> None:
        """Show nothing: the summary holds them."""

    def summary(self, summary: dict[str, Any]) -> None:
        """Write the summary."""
        print(json_line(summary), file=self._out, flush=True)


class ConsoleOutput:
    """A transcript that grows as people speak; coloured on a terminal, plain lines elsewhere."""

    def __init__(self, out: TextIO | None = None, *, echo_typed: bool = True) -> None:
        from rich.console import Console  # a tenth of a second that `--json` and `--help` do without

        self._console = Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._transcript = Transcript()
        self._echo_typed = echo_typed

    def notice(self, text: str) -> None:
        """Print a line."""
        self._print(self._transcript.line("", text, "note"))

    def begin(self, text: str) -> None:
        """Print the beginning of a line."""
        self._console.print(text, style=STYLES["note"], end="")
        self._console.file.flush()

    def progress(self, text: str) -> None:
        """Show nothing: a line that is printed stays."""

    def done(self, text: str) -> None:
        """Print the rest of it."""
        self._console.print(f" {text}" if text else "", style=STYLES["note"])

    def typed(self, text: str, t: float = 0.0) -> None:
        """Print the line, unless a terminal has shown it already."""
        if self._echo_typed:
            self._print(self._transcript.typed(text))

    def event(self, event: LoopEvent, t: float, reply: Message | None = None) -> None:
        """Print what the event adds."""
        if isinstance(event, Interrupted):
            self._print(self._transcript.interrupted(event, reply))
        else:
            self._print(self._transcript.feed(event))

    def latency(self, latency: Latency) -> None:
        """Print the line once the answer has its own."""
        self._transcript.latency(latency)

    def summary(self, summary: dict[str, Any]) -> None:
        """Print what the conversation came to."""
        self._print(self._transcript.end())
        times = summary["voice_to_voice_ms"]
        parts = [_count(len(summary["user"]), "user turn"), _count(len(summary["assistant"]), "answer")]
        parts += [_count(len(summary["tools"]), "tool call")] if summary["tools"] else []
        parts += [f"voice to voice {statistics.median(times):.0f} ms (median)"] if times else []
        self._print(self._transcript.line("", ", ".join(parts), "note"))

    def show(self, renderables: Iterable[RenderableType]) -> None:
        """Print what was made elsewhere."""
        for renderable in renderables:
            self._console.print(renderable)

    def _print(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._console.print(piece.text, style=STYLES.get(piece.style), end="")
        self._console.file.flush()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
