"""Host: runs one stage's methods for requests that arrive as frames."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from duologue.errors import LocalProtocolError

from duologue_local.framing import Header
from duologue_local.stages import (
    FRAME_BYTES,
    OUTPUT_RATE,
    ChatMessage,
    Kind,
    Piece,
    Rendered,
    Request,
    ToolCall,
    ToolSpec,
    VADStream,
)

Reply = Callable[[Header, bytes], None]
Cancelled = Callable[[], bool]
Operation = Callable[["Header", bytes, Reply, Cancelled], tuple["Header", bytes]]


class Cancellations:
    """Which requests were cancelled; forgets those that are over. Threading: any thread."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """Cancel a request, whether it waits, runs or is over."""
        with self._lock:
            self._numbers.add(number)

    def check(self, number: int) -> Cancelled:
        """Return a function that tells whether this request was cancelled."""
        return lambda: number in self._numbers

    def settle(self, number: int) -> None:
        """This request and those before it are over."""
        with self._lock:
            self._numbers = {later for later in self._numbers if later > number}


class StageHost:
    """One stage behind a request interface: what a worker process or thread runs.

    `run` is called by one thread only, one request at a time.
    """

    def __init__(self, kind: Kind, stage: Any) -> None:
        self.kind = kind
        self.stage = stage
        self._streams: dict[int, VADStream] = {}
        self._operations: dict[str, Operation] = {
            "process": self._process,
            "forget": self._forget,
            "transcribe": self._transcribe,
            "prepare": self._prepare,
            "generate": self._generate,
            "synthesize": self._synthesize,
            "modules": self._modules,
        }

    def description(self) -> Header:
        """Say what the library must know of the stage."""
        if self.kind == "llm":
            return {"context_tokens": int(self.stage.context_tokens)}
        if self.kind == "tts":
            return {"voices": list(self.stage.voices)}
        return {}

    def run(self, header: Header, payload: bytes, reply: Reply, cancelled: Cancelled) -> None:
        """Carry out one request; every request gets exactly one final answer."""
        number = header["id"]

        def item(head: Header, body: bytes = b"") -> None:
            reply({"id": number, "kind": "item", **head}, body)

        if cancelled():
            reply({"id": number, "kind": "error", "error": "cancelled", "message": "cancelled"}, b"")
            return
        try:
            head, body = self._operation(header["op"])(header, payload, item, cancelled)
        except Exception as exc:  # a task boundary: whatever a stage raises is this request's failure, not the worker's
            reply({"id": number, "kind": "error", "error": type(exc).__name__, "message": str(exc)}, b"")
        else:
            reply({"id": number, "kind": "done", **head}, body)

    def _operation(self, name: str) -> Operation:
        if name not in self._operations:
            raise LocalProtocolError(f"a {self.kind} worker has no operation {name!r}")
        return self._operations[name]

    def _process(self, header: Header, payload: bytes, item: Reply, cancelled: Cancelled) -> tuple[Header, bytes]:
        key = header["stream"]
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = self.stage.stream()
        frames = (payload[at : at + FRAME_BYTES] for at in range(0, len(payload), FRAME_BYTES))
        return {"probabilities": [round(stream.process(frame), 4) for frame in frames]}, b""

    def _forget(self, header: Header, payload: bytes, item: Reply, cancelled: Cancelled) -> tuple[Header, bytes]:
        self._streams.pop(header["stream"], None)
        return {}, b""

    def _transcribe(self, header: Header, payload: bytes, item: Reply, cancelled: Cancelled) -> tuple[Header, bytes]:
        heard = self.stage.transcribe(payload)
        return {"text": heard.text, "no_speech": heard.no_speech, "score": heard.score}, b""

    def _prepare(self, header: Header, payload: bytes, item: Reply, cancelled: Cancelled) -> tuple[Header, bytes]:
        prepare = getattr(self.stage, "prepare", None)
        if prepare is not None:
            prepare(_request_from_json(header["request"]))
        return {}, b""

    def _generate(self, header: Header, payload: bytes, item: Reply, cancelled: Cancelled) -> tuple[Header, bytes]:
        def emit(piece: Piece) -> bool:
            if not cancelled():
                item(_piece_to_json(piece), b"")
            return cancelled()

        done = self.stage.generate(_request_from_json(header["request"]), emit)
        return {
            "stop": done.stop,
            "input_tokens": done.input_tokens,
            "output_tokens": done.output_tokens,
            "details": dict(done.details),
        }, b""

    def _synthesize(self, header: Header, payload: bytes, item: Reply, cancelled: Cancelled) -> tuple[Header, bytes]:
        speech = self.stage.synthesize(header["text"], header["voice"])
        pcm = speech.pcm
        if speech.rate != OUTPUT_RATE and pcm:
            from duologue_local.resampler import resample  # numpy and soxr load in the worker only

            pcm = resample(pcm, speech.rate, OUTPUT_RATE)
        return {"words": [[word.text, round(word.end_ms, 1)] for word in speech.words]}, pcm

    def _modules(self, header: Header, payload: bytes, item: Reply, cancelled: Cancelled) -> tuple[Header, bytes]:
        return {"modules": sorted({name.partition(".")[0] for name in sys.modules})}, b""


def request_to_json(request: Request) -> Header:
    """Return a request as JSON."""
    return {
        "messages": [[m.role, m.content, m.name] for m in request.messages],
        "tools": [[t.name, t.description, dict(t.schema)] for t in request.tools],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }


def piece_from_json(data: Header) -> Piece:
    """Return what a model emitted."""
    if "text" in data:
        return str(data["text"])
    if "prompt" in data:
        return Rendered(data["prompt"])
    return ToolCall(data["name"], data["arguments"])


def _request_from_json(data: Header) -> Request:
    return Request(
        messages=tuple(ChatMessage(role, content, name) for role, content, name in data["messages"]),
        tools=tuple(ToolSpec(name, description, schema) for name, description, schema in data["tools"]),
        max_tokens=data["max_tokens"],
        temperature=data["temperature"],
        seed=data["seed"],
    )


def _piece_to_json(piece: Piece) -> Header:
    if isinstance(piece, str):
        return {"text": piece}
    if isinstance(piece, Rendered):
        return {"prompt": piece.prompt}
    return {"name": piece.name, "arguments": dict(piece.arguments)}
