"""Reply: one answer of the assistant, written, spoken clause by clause, and told in events."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duologue.events import (
    AudioOutputDelta,
    ProviderEvent,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
)
from duologue.types import StopReason, Usage, WordTime

from duologue_local.clauses import ClauseSplitter
from duologue_local.host import piece_from_json, request_to_json
from duologue_local.stages import OUTPUT_RATE, Rendered, Request, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue_local.memory import Memory
    from duologue_local.outbox import Outbox
    from duologue_local.pool import Lease

PIECE_MS = 100
PIECE_BYTES = OUTPUT_RATE * 2 * PIECE_MS // 1000
SHORTEST_BYTES = PIECE_BYTES // 5
MEDIA_TYPE = f"audio/pcm;rate={OUTPUT_RATE}"


@dataclass(frozen=True, slots=True)
class Marks:
    """When the user's turn went which way, in seconds on the session clock; for typed turns all are the same."""

    speech_end: float
    ended: float
    recognised: float


@dataclass(slots=True)
class Reply:
    """The state of one answer.

    Attributes:
        made: all of it was written and handed to the reader's queue.
        completed: its `TurnComplete` was sent.
        over: it neither is made nor plays any more.
    """

    response_id: str
    item_id: str
    marks: Marks
    stop: StopReason = StopReason.end_turn
    usage: Usage = field(default_factory=Usage)
    calls: list[ToolCall] = field(default_factory=list)
    audio_ms: float = 0.0
    started_at: float | None = None
    said: bool = False
    made: bool = False
    completed: bool = False
    over: bool = False


class Speaker:
    """Makes replies: asks the model, and lets each clause be spoken while the next is written.

    The model's tokens wait in the client while a clause is synthesised, so the two workers run side by side.
    """

    def __init__(
        self,
        stages: Lease,
        outbox: Outbox,
        memory: Memory,
        clock: Callable[[], float],
        *,
        voice: str,
        debug_prompt: bool,
        call_id: Callable[[], str],
    ) -> None:
        self._llm = stages["llm"]
        self._tts = stages["tts"]
        self._outbox = outbox
        self._memory = memory
        self._clock = clock
        self._voice = voice
        self._debug_prompt = debug_prompt
        self._call_id = call_id

    async def make(self, reply: Reply, request: Request) -> None:
        """Write and speak the answer.

        Cancellation: both workers drop what they do for it; nothing more of it is queued.

        Raises:
            StageFailed: a stage failed at this reply.
            ConnectionLost: a stage is gone.
        """
        first_clause_at: float | None = None
        splitter = ClauseSplitter()
        self._memory.reply(reply.item_id)
        async with contextlib.aclosing(self._llm.stream("generate", request=request_to_json(request))) as answers:
            async for header, _ in answers:
                if header["kind"] == "done":
                    reply.usage = Usage(header["input_tokens"], header["output_tokens"], header["details"])
                    if header["stop"] == "length":
                        reply.stop = StopReason.max_tokens
                    clauses = splitter.flush()
                else:
                    match piece_from_json(header):
                        case str(text):
                            clauses = splitter.feed(text)
                        case ToolCall() as call:
                            clauses = splitter.flush()
                            reply.calls.append(ToolCall(call.name, call.arguments, self._call_id()))
                        case Rendered(prompt=prompt):
                            clauses = []
                            self._tell_prompt(reply, prompt, request)
                for clause in clauses:
                    first_clause_at = first_clause_at or self._clock()
                    await self._speak(reply, clause, first_clause_at)
        if reply.said:
            self._outbox.put(
                TranscriptDelta("assistant", "", final=True, item_id=reply.item_id, response_id=reply.response_id)
            )
        for index, call in enumerate(reply.calls):
            self._outbox.put(ToolUseStart(index, call.id, call.name))
            self._outbox.put(ToolInputDelta(index, call.id, json.dumps(dict(call.arguments), ensure_ascii=False)))
            self._outbox.put(ToolUseEnd(index, call.id))
        if reply.calls:
            reply.stop = StopReason.tool_use

    async def _speak(self, reply: Reply, clause: str, first_clause_at: float) -> None:
        header, pcm = await self._tts.call("synthesize", text=clause, voice=self._voice)
        words = tuple(WordTime(text, reply.audio_ms + end) for text, end in header["words"])
        self._memory.spoken(reply.item_id, words)
        delta = f" {clause}" if reply.said else clause
        if reply.started_at is None:
            reply.started_at = self._clock()
        if pcm and not reply.audio_ms:
            self._tell_latency(reply, first_clause_at)
        reply.said = True
        self._outbox.put(self._transcript(reply, delta, words))
        reply.audio_ms += len(pcm) * 1000 / (OUTPUT_RATE * 2)
        for piece in pieces(pcm):
            await self._outbox.put_audio(AudioOutputDelta(piece, MEDIA_TYPE, reply.response_id, reply.item_id))

    def _transcript(
        self, reply: Reply, delta: str, words: tuple[WordTime, ...] = (), *, final: bool = False
    ) -> TranscriptDelta:
        return TranscriptDelta(
            "assistant",
            delta,
            final=final,
            item_id=reply.item_id,
            started_at=reply.started_at,
            words=words,
            response_id=reply.response_id,
        )

    def _tell_latency(self, reply: Reply, first_clause_at: float) -> None:
        marks = reply.marks
        parts = {
            "end_of_turn": marks.ended - marks.speech_end,
            "asr": marks.recognised - marks.ended,
            "llm_first": first_clause_at - marks.recognised,
            "tts_first": self._clock() - first_clause_at,
        }
        data: dict[str, Any] = {name: round(seconds * 1000, 1) for name, seconds in parts.items()}
        self._outbox.put(ProviderEvent("local", "latency", {"response_id": reply.response_id, **data}))

    def _tell_prompt(self, reply: Reply, prompt: str, request: Request) -> None:
        if self._debug_prompt:
            messages = [{"role": m.role, "content": m.content} for m in request.messages]
            data = {"response_id": reply.response_id, "prompt": prompt, "messages": messages}
            self._outbox.put(ProviderEvent("local", "prompt", data))


def pieces(pcm: bytes) -> list[bytes]:
    """Cut speech into pieces of 100 ms; a last one under 20 ms joins the one before."""
    cut = [pcm[at : at + PIECE_BYTES] for at in range(0, len(pcm), PIECE_BYTES)]
    if len(cut) > 1 and len(cut[-1]) < SHORTEST_BYTES:
        last = cut.pop()
        cut[-1] += last
    return cut
