"""Scripted stages, and a reader of events: the pipeline's orchestration without models."""

from __future__ import annotations

import asyncio
import math
import struct
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from duologue.events import AudioOutputDelta, Event, TranscriptDelta
from duologue.types import WordTime
from duologue_local import (
    Emit,
    Generation,
    LocalTransport,
    Recognition,
    Rendered,
    Request,
    Speech,
    ToolCall,
)
from duologue_local.session import LocalSession
from duologue_local.stages import FRAME_BYTES, OUTPUT_RATE

E = TypeVar("E")

WORD_MS = 100
PATIENCE = 10.0
"""Seconds after which a test that waits for something has failed."""


class LoudVAD:
    """Speech is whatever is not silent."""

    def stream(self) -> LoudVAD:
        return self

    def process(self, frame: bytes) -> float:
        return 0.99 if any(frame) else 0.01


class ScriptedASR:
    """Understands the given sentences, one utterance after another."""

    def __init__(self, *sentences: str) -> None:
        self.sentences = list(sentences)
        self.heard: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()

    def transcribe(self, pcm: bytes) -> Recognition:
        assert self.gate.wait(PATIENCE)
        self.heard.append(pcm)
        text = self.sentences.pop(0) if self.sentences else "Again."
        if text == "!":
            raise RuntimeError("the recogniser stumbled")
        return Recognition(text)


class ScriptedLLM:
    """Answers with the given texts, word by word, or with calls; waits at "|" until `go` is set."""

    context_tokens = 1000

    def __init__(self, *answers: str | ToolCall | list[ToolCall]) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.go = threading.Event()
        self.aborted = threading.Event()

    def generate(self, request: Request, emit: Emit) -> Generation:
        self.requests.append(request)
        emit(Rendered(" / ".join(m.content for m in request.messages)))
        answer = self.answers.pop(0) if self.answers else "All right."
        if isinstance(answer, ToolCall | list):
            for call in answer if isinstance(answer, list) else [answer]:
                emit(call)
            return Generation()
        if answer == "!":
            raise RuntimeError("the model stumbled")
        for word in answer.split(" "):
            if word == "|":
                self._wait(emit)
            elif emit(f"{word} "):
                self.aborted.set()
                return Generation("aborted")
        return Generation("end", len(request.messages), len(answer.split()))

    def _wait(self, emit: Emit) -> None:
        for _ in range(int(PATIENCE * 100)):
            if self.go.wait(0.01) or emit(""):
                return

    def prompt(self, number: int = -1) -> list[tuple[str, str]]:
        """The messages of one request, without the system prompt."""
        return [(m.role, m.content) for m in self.requests[number].messages if m.role != "system"]


class ToneTTS:
    """A tone of 100 ms for each word."""

    voices = ("tone", "other")

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def synthesize(self, text: str, voice: str) -> Speech:
        assert self.gate.wait(PATIENCE)
        self.spoken.append(text)
        if "stumble" in text:
            raise RuntimeError("the voice stumbled")
        words = text.split()
        count = len(words) * WORD_MS * OUTPUT_RATE // 1000
        pcm = b"".join(struct.pack("<h", int(9000 * math.sin(i / 9))) for i in range(count))
        return Speech(pcm, OUTPUT_RATE, tuple(WordTime(w, (i + 1) * WORD_MS) for i, w in enumerate(words)))


class Stages:
    """A set of scripted stages and a transport on them."""

    def __init__(self, asr: tuple[str, ...] = (), llm: tuple[Any, ...] = ()) -> None:
        self.vad = LoudVAD()
        self.asr = ScriptedASR(*asr)
        self.llm = ScriptedLLM(*llm)
        self.tts = ToneTTS()

    def transport(self, **options: Any) -> LocalTransport:
        given = {"vad": self.vad, "asr": self.asr, "llm": self.llm, "tts": self.tts, "debug_prompt": True}
        return LocalTransport(**{**given, **options})


def speech(ms: int) -> bytes:
    """Something loud, in whole frames."""
    return b"\x10\x20" * (FRAME_BYTES // 2 * (ms // 32))


def silence(ms: int) -> bytes:
    """Nothing, in whole frames."""
    return bytes(FRAME_BYTES * -(-ms // 32))


class Reader:
    def __init__(self, session: LocalSession) -> None:
        self.session = session
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self._moved = asyncio.Event()
        self._seen = 0
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        try:
            async for event in self.session.events():
                self.events.append(event)
                self._moved.set()
        except Exception as exc:
            self.error = exc
        self._moved.set()

    async def wait(self, kind: type[E], test: Callable[[Any], bool] = lambda _: True, within: float = 10.0) -> E:
        """Wait for an event after the last one that was waited for."""
        async with asyncio.timeout(within):
            while True:
                for number in range(self._seen, len(self.events)):
                    event = self.events[number]
                    if isinstance(event, kind) and test(event):
                        self._seen = number + 1
                        return event
                assert not self.task.done(), f"the session ended ({self.error}): {self.names()}"
                self._moved.clear()
                await self._moved.wait()

    def of(self, kind: type[E]) -> list[E]:
        return [e for e in self.events if isinstance(e, kind)]

    def names(self) -> list[str]:
        """The kinds of the events, audio and reports left out, equal neighbours once."""
        names = [type(e).__name__ for e in self.events if type(e).__name__ not in ("AudioOutputDelta", "ProviderEvent")]
        return [n for i, n in enumerate(names) if i == 0 or names[i - 1] != n]

    def said(self, role: str = "assistant") -> str:
        return "".join(e.delta for e in self.of(TranscriptDelta) if e.role == role)

    def audio_ms(self, response_id: str | None = None) -> float:
        pieces = (e for e in self.of(AudioOutputDelta) if response_id in (None, e.response_id))
        return sum(len(e.data) for e in pieces) / 48
