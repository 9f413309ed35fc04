"""`duologue replay`: a captured conversation, shown once more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from duologue.events import Interrupted
from duologue.wire.replay import ReplayedConversation

from duologue_cli.outputs import ConsoleOutput, JsonOutput
from duologue_cli.summary import Measures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duologue.types import Message

    from duologue_cli.outputs import Output


def show_replay(
    path: Path, *, json: bool = False, original_time: bool = False, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Print the conversation; return the exit code.

    Args:
        path: the capture.
        json: one JSON object a line.
        original_time: take as long as the conversation took.
        sleep: how time is spent.

    Raises:
        ConfigurationError: the file is no capture, or its transport is not installed.
    """
    output: Output = JsonOutput() if json else ConsoleOutput()
    measures = Measures()
    conversation = ReplayedConversation(path, typed=lambda _t, text: output.typed(text))
    made = conversation.replay.recording.made_by
    output.notice(f"Captured {made.get('began', '')} by duologue {made.get('duologue', '?')}.")
    at: float | None = None
    for t, event in conversation.events():
        if original_time and at is not None and t > at:
            sleep(t - at)
        at = t
        measures.feed(event, t)
        output.event(event, t, _cut(conversation.history) if isinstance(event, Interrupted) else None)
    different = conversation.differences
    if different:
        output.notice(f"{len(different)} frames would be sent differently today; the first: {different[0]}")
    output.summary(measures.summary(conversation.history))
    return 0


def _cut(history: tuple[Message, ...]) -> Message | None:
    """The reply that was cut last."""
    return next((m for m in reversed(history) if m.role == "assistant" and not m.heard), None)
