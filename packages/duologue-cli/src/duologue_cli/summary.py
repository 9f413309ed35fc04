"""The measures of a conversation: what tools did, and how long each answer took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duologue.events import ProviderEvent, SpeechStarted, SpeechStopped, ToolCancelled, ToolResult, ToolStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue.events import Event
    from duologue.types import Message

PARTS = ("end_of_turn", "asr", "llm_first", "tts_first")


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one answer took, from the end of the user's speech to the first sound of the reply.

    `parts` are in ms and sum to `voice_to_voice_ms`; where the session doesn't report its own, they are
    None and only `output`, the way from the session to the speaker, is known.
    """

    voice_to_voice_ms: float
    parts: dict[str, float | None]


class Measures:
    """Collects what the summary tells. Pure: told the events, and when a reply begins to sound."""

    def __init__(self) -> None:
        self.latencies: list[Latency] = []
        self.tools: list[dict[str, Any]] = []
        self._running: dict[str, dict[str, Any]] = {}
        self._reported: tuple[str, dict[str, float], float] | None = None
        self._speech_ended: float | None = None

    def feed(self, event: Event, now: float) -> None:
        """Take note of an event at `now` seconds."""
        match event:
            case SpeechStarted():
                self._reported = None  # a reply that was about to sound is cut
            case SpeechStopped(at=at):
                self._speech_ended = now if at is None else min(at, now)
            case ToolStarted(tool_use_id=call, name=name, input=arguments):
                self._running[call] = {"name": name, "input": arguments}
            case ToolResult(tool_use_id=call, name=name, is_error=failed, content=content, elapsed=elapsed):
                said = content if isinstance(content, str) else [type(block).__name__ for block in content]
                started = self._running.pop(call, {"name": name, "input": None})
                self.tools.append(
                    {**started, "result": said, "is_error": failed, "elapsed_ms": round(elapsed * 1000, 1)}
                )
            case ToolCancelled(tool_use_id=call, name=name, reason=reason):
                started = self._running.pop(call, {"name": name, "input": None})
                self.tools.append({**started, "cancelled": reason})
            case ProviderEvent(kind="latency", data=dict() as data):
                parts = {part: float(data[part]) for part in PARTS if isinstance(data.get(part), int | float)}
                if len(parts) == len(PARTS):
                    self._reported = (str(data.get("response_id", "")), parts, now)
            case _:
                pass

    def begins_to_sound(self, response_id: str, received: float, sounds: float, *, typed: bool) -> Latency | None:
        """A response's first audio came at `received` and starts to sound at `sounds`.

        Returns None where there is nothing to measure: a typed turn, or speech whose end nobody reported.
        """
        reported, self._reported = self._reported, None
        ended, self._speech_ended = self._speech_ended, None
        if typed:
            return None
        if reported is not None and reported[0] in ("", response_id):
            parts = {name: round(part, 1) for name, part in reported[1].items()}
            parts["output"] = round((sounds - reported[2]) * 1000, 1)
            latency = Latency(round(sum(parts.values()), 1), dict(parts))
        elif ended is not None:
            output = round((sounds - received) * 1000, 1)
            latency = Latency(round((sounds - ended) * 1000, 1), {**dict.fromkeys(PARTS), "output": output})
        else:
            return None
        self.latencies.append(latency)
        return latency

    def summary(self, history: Iterable[Message]) -> dict[str, Any]:
        """Return the summary as JSON-able data; the texts are the agent's history, so only what was heard."""
        said = [message for message in history if message.text]  # a bare tool call is no text
        return {
            "event": "summary",
            "user": [message.text for message in said if message.role == "user"],
            "assistant": [message.text for message in said if message.role == "assistant"],
            "tools": self.tools,
            "voice_to_voice_ms": [latency.voice_to_voice_ms for latency in self.latencies],
            "latencies": [latency.parts for latency in self.latencies],
        }
