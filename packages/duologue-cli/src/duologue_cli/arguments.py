"""The arguments of `duologue chat`, and the order in which its turns were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ChatArguments:
    """What was asked for; `turn_order` names the option of each turn as it stood on the command line."""

    transport: str
    say: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    turn_order: tuple[str, ...] = ()
    text: bool = False
    output: Path | None = None
    json: bool = False
    system: str | None = None
    voice: str | None = None
    tools: tuple[str, ...] = ()
    base_url: str | None = None
    record: Path | None = None
    barge_in: float | None = None
    devices: tuple[str, ...] = ()
    aec: str | None = None
    no_tui: bool = False

    @property
    def live(self) -> bool:
        """Whether the user speaks into a microphone: no turn was given."""
        return not (self.say or self.inputs or self.text)


class OrderedCommand(TyperCommand):
    """A command that notes in which order options were given, in `ctx.meta["order"]`.

    The parser keeps the values of each repeatable option apart, so `--say` and `--input` would lose it.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, once for the order and once for the values."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta["order"] = tuple(parameter.name for parameter in order)
        return super().parse_args(ctx, args)
