"""Codecs: what a protocol says in frames, said in events and commands. Pure: no socket, no clock, no await.

A codec lives as long as one connection. Its client half turns the provider's frames into events and our commands
into frames; its server half is the mirror, for gateways and tests.
"""
# ruff: noqa: TC001 - the annotations of public types can be evaluated at run time

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from duologue.errors import DuologueError
from duologue.events import Event
from duologue.transport import Capabilities
from duologue.types import Message
from duologue.wire.commands import ClientCommand, Command

Frame: TypeAlias = str | bytes
"""One WebSocket message: `str` is a text message, `bytes` a binary one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new connection starts from.

    Attributes:
        handle: the provider's handle of the session to take up again, "" for a fresh session.
        history: what the provider doesn't know yet: with a handle only what was said after that was issued,
            without one the whole conversation.
    """

    handle: str = ""
    history: Sequence[Message] = ()


class Codec(ABC):
    """The client half of a protocol, for one connection.

    A frame that makes no sense becomes a `Problem`; no frame, whatever it holds, makes `decode` raise.
    The first event that says the provider accepted the session is `SessionStarted`; before it, an `Error` means
    that it was refused. `SessionStarted` comes only once the session takes content: a protocol that wants more
    after its greeting (options, history) puts that into `outgoing` first.

    Attributes:
        provider: the provider's name in errors, captures and `ProviderEvent`.
        capabilities: what the session can do; read again after `SessionStarted`.
        outgoing: frames that decoding asked for (an answer to a ping, a request that had to wait). Whoever drives
            the codec sends and clears them after each `decode`.
        handle: the handle with which the session can be taken up again on another connection, "" while it can't.
        continues: whether a resumed session can be told what it missed (`Opening.history` beside a handle). Where
            it can't, a handle that misses something is not used.
        input_dropped: audio blocks that the protocol did not allow to send and that were dropped.
    """

    provider: ClassVar[str] = ""
    capabilities: Capabilities = Capabilities()
    handle: str = ""
    continues: bool = True
    input_dropped: int = 0

    def __init__(self) -> None:
        self.outgoing: list[Frame] = []

    @abstractmethod
    def opening(self) -> list[Frame]:
        """The frames to send first."""

    @abstractmethod
    def decode(self, frame: Frame) -> list[Event]:
        """Turn one frame into events; never raises for what the peer sent."""

    @abstractmethod
    def encode(self, command: Command) -> list[Frame]:
        """Turn a command into frames; none where there is nothing to say, or not yet.

        Raises:
            UnsupportedFormat: content that this protocol can't carry.
        """

    def closing(self) -> list[Frame]:
        """The frames to send before we close; none in most protocols."""
        return []

    def explain_close(self, code: int, reason: str) -> DuologueError | None:
        """What a close by the provider means; None leaves it to the general rules of `duologue.wire.closing`."""
        return None


class ServerCodec(ABC):
    """The server half of a protocol, for one connection: client frames into commands, events into frames.

    The first command is a `SetUp` (protocols in which the client says nothing at first yield one from `greet`).
    A client frame that makes no sense is answered by the protocol's own error, put into `outgoing`.

    Attributes:
        provider: as in `Codec`.
        outgoing: frames that decoding asked for; as in `Codec`.
    """

    provider: ClassVar[str] = ""

    def __init__(self) -> None:
        self.outgoing: list[Frame] = []

    def greet(self) -> list[ClientCommand]:
        """What is known as soon as the socket is open."""
        return []

    @abstractmethod
    def decode(self, frame: Frame) -> list[ClientCommand]:
        """Turn one frame of the client into commands; never raises for what the client sent."""

    @abstractmethod
    def encode(self, event: Event) -> list[Frame]:
        """Turn an event into frames; none for an event the protocol has no words for."""

    def offer(self, handle: str) -> list[Frame]:
        """Tell the client how to take the session up again ("" for: not now); none where the protocol can't."""
        return []


CodecFactory: TypeAlias = Callable[[Opening], Codec]
