"""The two protocols every backend implements, and what a session says it can do."""
# ruff: noqa: TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.blocks import ContentBlock
    from duologue.events import Event
    from duologue.tool import Tool
    from duologue.types import Message


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """Who decides when the user's turn begins and ends.

    Attributes:
        mode: "server" (voice activity), "semantic" (what is said) or "manual" (`commit()` ends the turn).
        threshold: how sure the VAD must be, 0 to 1; None is the provider's default, here and below.
        prefix_ms: audio kept from before the speech was noticed.
        silence_ms: silence that ends the turn.
        interrupt: speech during a reply cuts it.
        create_response: the end of the turn asks for a reply.
    """

    mode: Literal["server", "semantic", "manual"] = "server"
    threshold: float | None = None
    prefix_ms: int | None = None
    silence_ms: int | None = None
    interrupt: bool = True
    create_response: bool = True


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a session can do; the agent asks this and never what class the session is.

    Attributes:
        input_rates: PCM16 rates it takes, in Hz, the preferred first.
        output_rate: PCM16 rate it delivers, in Hz.
        server_vad: it finds the user's turns itself.
        manual_turns: `commit()` can end a turn of audio.
        has_turns: replies end with `TurnComplete`; False for full-duplex models.
        paced_output: audio comes in real time, silence included, instead of as fast as it is made.
        text_input: it takes `TextBlock`.
        image_input: it takes `ImageBlock`.
        transcripts: it reports what was said.
        tools: it can call tools.
        nonblocking_tools: the model goes on talking while a tool runs.
        result_scheduling: the provider itself decides when a late result is spoken.
        truncation: `truncate()` exists: the model's memory is cut to what was heard.
        playback_notices: `playback_started()` and `playback_stopped()` exist.
        session_update: `update()` exists.
        resumption: a lost connection can be taken up again by the provider.
        overlap_reconnect: two connections of one session may overlap.
        max_session_s: how long a session may last, None when there is no limit.
    """

    input_rates: tuple[int, ...] = (16000,)
    output_rate: int = 24000
    server_vad: bool = True
    manual_turns: bool = False
    has_turns: bool = True
    paced_output: bool = False
    text_input: bool = True
    image_input: bool = False
    transcripts: bool = True
    tools: bool = True
    nonblocking_tools: bool = False
    result_scheduling: bool = False
    truncation: bool = False
    playback_notices: bool = False
    session_update: bool = False
    resumption: bool = False
    overlap_reconnect: bool = False
    max_session_s: float | None = None


class RealtimeSession(Protocol):
    """One conversation with a backend.

    Every method may be called from any task of the loop while `events()` is being read.
    After `close()`, or once the session has ended, the sending methods raise `SessionClosed`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this session can do; a session without it gets `Capabilities()`."""
        ...

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        """Add content to the user's side. Text alone starts no reply: `commit()` does."""
        ...

    async def commit(self) -> None:
        """End the user's turn (typed text, or audio in manual mode) and ask for a reply."""
        ...

    async def interrupt(self) -> None:
        """Stop the reply that is being made; nothing to stop is no error."""
        ...

    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None:
        """Answer a call."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens until the session ends; raise if it ends badly. Read once."""
        ...

    async def close(self) -> None:
        """End the session within bounded time; idempotent."""
        ...


class RealtimeTransport(Protocol):
    """A way to reach some model.

    The agent passes the last three parameters only when they are set, so a transport with the first
    five is complete.
    """

    async def connect(
        self,
        *,
        system: str,
        tools: list[Tool],
        voice: str | None = None,
        input_audio_format: str = "audio/pcm;rate=16000",
        output_audio_format: str = "audio/pcm;rate=24000",
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
    ) -> RealtimeSession:
        """Open a session; return once the backend has accepted it.

        Raises:
            ConfigurationError: an argument or the environment is wrong.
            LinkError: the backend can't be reached.
        """
        ...


@runtime_checkable
class TruncatesPlayback(Protocol):
    """A session with `Capabilities.truncation`."""

    async def truncate(self, *, item_id: str, heard_ms: int) -> None:
        """Forget what follows `heard_ms` milliseconds of that item's audio."""
        ...


@runtime_checkable
class HearsPlayback(Protocol):
    """A session with `Capabilities.playback_notices`."""

    async def playback_started(self) -> None:
        """The first audio of a reply leaves the speaker."""
        ...

    async def playback_stopped(self) -> None:
        """The reply was played to its end (not sent after an interruption)."""
        ...


@runtime_checkable
class UpdatesSession(Protocol):
    """A session with `Capabilities.session_update`."""

    async def update(
        self,
        *,
        system: str | None = None,
        tools: list[Tool] | None = None,
        turn_detection: TurnDetection | None = None,
    ) -> None:
        """Change what is given; the rest stays."""
        ...


@runtime_checkable
class ClearsInput(Protocol):
    """A session that can forget audio which was sent but not committed."""

    async def clear(self) -> None:
        """Forget the audio of the unfinished turn."""
        ...


@runtime_checkable
class ReplaysHistory(Protocol):
    """A session that may have to tell a new connection what was said."""

    def replay_from(self, history: Callable[[], Sequence[Message]]) -> None:
        """Ask here for what was said; called once, before anything is sent."""
        ...


@runtime_checkable
class HandsEvents(Protocol):
    """A session that can hand an event over where it arrives, which saves waking a task for it."""

    def hand_to(self, take: Callable[[Event], bool]) -> None:
        """Call `take` with each event that comes while `events()` is awaited and nothing is ahead of it.

        What `take` refuses by returning False, and how the session ends, comes out of `events()`.
        """
        ...
