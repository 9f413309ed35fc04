"""Rendering: meters, the state and what was said, as Rich's text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from duologue_cli.phase import Phase
from duologue_cli.transcript import latency_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue_cli.controls import Status
    from duologue_cli.scene import Entry, Kind

QUIETEST_DB = -60.0
EIGHTHS = " ▏▎▍▌▋▊▉"
LABELS: Mapping[Kind, tuple[str, str]] = {
    "user": ("you", "bold cyan"),
    "agent": ("agent", "bold green"),
    "tool": ("tool", "yellow"),
    "note": ("", "dim"),
}
LOOKS = {
    Phase.loading: ("…", "yellow"),
    Phase.listening: ("●", "bold cyan"),
    Phase.thinking: ("◆", "bold yellow"),
    Phase.speaking: ("▶", "bold green"),
    Phase.interrupted: ("■", "bold red"),
}
UNHEARD = "dim strike"


def meter(label: str, style: str, db: float, width: int, remark: str = "") -> Text:
    """Return a bar from 60 dB below full scale up, in eighths of a cell; red where it is about to clip."""
    share = min(1.0, max(0.0, 1.0 - db / QUIETEST_DB))
    eighths = round(share * width * 8)
    bar = "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
    loud = "bold red" if db > -3.0 else style
    level = f"{db:4.0f} dB" if db > QUIETEST_DB else "  silent"
    return Text.assemble(
        (f" {label:<6}", style),
        (bar.ljust(width, "·"), loud),
        f" {level:>8}",
        (f"  {remark}" if remark else "", "yellow"),
    )


def microphone_remark(status: Status) -> str:
    """Say what the microphone is used for, "" where it is open as usual."""
    if status.muted:
        return "muted"
    if not status.push_to_talk:
        return ""
    return "on air" if status.talking else "push to talk"


def state_line(phase: Phase, title: str, seconds: float | None) -> Text:
    """Return the first line: the phase, what we talk to, and for how long."""
    mark, style = LOOKS[phase]
    clock = "" if seconds is None else f"   {int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
    return Text.assemble((f" {mark} {phase.value:<12}", style), (title, "dim"), (clock, "dim"))


def counters_line(counters: Mapping[str, int]) -> Text:
    """Return what was lost so far; nothing where nothing was."""
    told = ", ".join(f"{name}: {number}" for name, number in counters.items() if number)
    return Text(f" {told}" if told else "", "yellow")


def entry_text(entry: Entry, now: float) -> Text:
    """Return what was said; of a reply that was cut, what nobody heard is struck out."""
    match entry.kind:
        case "tool":
            seconds = now - (entry.began or 0.0) if entry.elapsed is None else entry.elapsed
            text = Text(entry.text, "red" if entry.failed else "")
            text.append(f"  {max(0.0, seconds):.1f} s …" if entry.running else f"  {seconds:.2f} s", "dim")
        case "note":
            text = Text(entry.text, "dim")
        case _ if entry.heard is None:
            text = Text(entry.text)
        case _:
            after = "" if entry.heard_ms is None else f" after {entry.heard_ms / 1000:.1f} s"
            text = Text(entry.text[: entry.heard])
            text.append(" ✂ ", "bold red")
            text.append(entry.text[entry.heard :].strip(), UNHEARD)
            text.append(f" (interrupted{after})", "red")
    if entry.latency is not None:
        text.append(f"\n{latency_text(entry.latency)}", "dim")
    return text


def entry_row(entry: Entry, now: float) -> Table:
    """Return an entry behind the name of whose it is, wrapped beside it."""
    label, style = LABELS[entry.kind]
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=6, no_wrap=True)
    row.add_column(ratio=1)
    row.add_row(Text(label, style), entry_text(entry, now))
    return row
