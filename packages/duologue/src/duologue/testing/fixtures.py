"""Pytest fixtures: `pytest_plugins = ["duologue.testing.fixtures"]` in a conftest brings them in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from duologue.wire.replay import ReplayedConversation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duologue.events import Event
    from duologue.types import Message
    from duologue.wire.codec import CodecFactory


@dataclass
class ReplayOutcome:
    """What came of a replay.

    Attributes:
        events: what the application would have seen, with the times of the capture.
        history: what was said and heard.
        differences: frames that this version sends otherwise than the one that made the capture.
    """

    events: list[tuple[float, Event]] = field(default_factory=list)
    history: tuple[Message, ...] = ()
    differences: list[str] = field(default_factory=list)


@pytest.fixture
def replay_capture() -> Callable[..., ReplayOutcome]:
    """Replay a capture through the codec and the Conversation: `replay_capture(path, codec=None)`."""

    def replay(path: str | Path, codec: CodecFactory | None = None) -> ReplayOutcome:
        conversation = ReplayedConversation(path, codec)
        events = list(conversation.events())
        return ReplayOutcome(events, conversation.history, conversation.differences)

    return replay
