"""Stages: the four small protocols of the pipeline, and the values that pass between them.

A stage is a class found by entry point (`duologue.vad`, `duologue.asr`, `duologue.llm`, `duologue.tts`) and made
without arguments in a worker process of its own, where its methods are called one at a time; so it may block, and
needs no locks. An instance can also be handed to `LocalTransport`; it then runs on a thread of this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from duologue.types import WordTime

INPUT_RATE = 16000
OUTPUT_RATE = 24000
FRAME_SAMPLES = 512
FRAME_BYTES = FRAME_SAMPLES * 2
FRAME_MS = FRAME_SAMPLES * 1000 / INPUT_RATE


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was understood.

    Attributes:
        text: the words; "" when there were none.
        no_speech: how sure the recogniser is that nobody spoke, 0 to 1.
        score: mean log-probability of the words.
    """

    text: str
    no_speech: float = 0.0
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Speech:
    """Synthesised speech: PCM16 mono, and when each word of the text ends (in ms from its start)."""

    pcm: bytes
    rate: int
    words: tuple[WordTime, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model is told about it."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model wants; `id` is given by the session."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt; a "tool" message carries the result of the call named by `name`."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked: the messages, and the tools it may call."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 160
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Rendered:
    """The prompt as the model really got it; emitted before the text it leads to."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Generation:
    """How a generation ended."""

    stop: Literal["end", "length", "aborted"] = "end"
    input_tokens: int = 0
    output_tokens: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


Piece: TypeAlias = str | ToolCall | Rendered
Emit: TypeAlias = Callable[[Piece], bool]
"""Hands a piece on; True asks the stage to stop at once."""


@runtime_checkable
class VADStream(Protocol):
    """The voice activity of one session's audio."""

    def process(self, frame: bytes) -> float:
        """Return how likely speech is in the next 512 samples (PCM16, 16 kHz)."""
        ...


@runtime_checkable
class VAD(Protocol):
    """Voice activity detection."""

    def stream(self) -> VADStream:
        """Begin to listen to one session."""
        ...


@runtime_checkable
class ASR(Protocol):
    """Speech recognition."""

    def transcribe(self, pcm: bytes) -> Recognition:
        """Write down one utterance (PCM16, 16 kHz)."""
        ...


@runtime_checkable
class LLM(Protocol):
    """A language model.

    One that can use the time before the first turn (to read the system prompt) may also have
    `prepare(request: Request) -> None`.
    """

    @property
    def context_tokens(self) -> int:
        """How many tokens prompt and answer may have together."""
        ...

    def generate(self, request: Request, emit: Emit) -> Generation:
        """Answer: emit text as it is written, or calls of tools; stop when `emit` returns True."""
        ...


@runtime_checkable
class TTS(Protocol):
    """Speech synthesis."""

    @property
    def voices(self) -> Sequence[str]:
        """The voices' names, the default first."""
        ...

    def synthesize(self, text: str, voice: str) -> Speech:
        """Speak one clause."""
        ...


Kind: TypeAlias = Literal["vad", "asr", "llm", "tts"]
Stage: TypeAlias = VAD | ASR | LLM | TTS
KINDS: tuple[Kind, ...] = ("vad", "asr", "llm", "tts")
