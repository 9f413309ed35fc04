"""The messages of the toy protocol: JSON objects with a `type`, as text frames.

The client says `hello` first, the server `welcome` or `refused`. Audio is PCM16 mono in base64, 16 kHz to the server
and 24 kHz back. A reply is transcripts and audio with one `response`, ended by `done`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct


class Message(Struct, tag_field="type", tag=str.lower, omit_defaults=True):
    """One message; `type` is the class's name in small letters."""


# -- client to server ----------------------------------------------------------------------------------


class Said(Struct, omit_defaults=True):
    """One entry of a history."""

    role: str
    text: str


class Offer(Struct, omit_defaults=True):
    """A tool."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class Hello(Message):
    """Open a session, or take one up again."""

    system: str = ""
    tools: list[Offer] = []
    voice: str = ""
    history: list[Said] = []
    resume: str = ""
    manual: bool = False
    interrupts: bool = True
    answers: bool = True


class Append(Message):
    """The next piece of the user's audio."""

    audio: bytes


class Text(Message):
    """Text of the user's side."""

    text: str


class Image(Message):
    """A picture."""

    data: bytes
    mime: str = "image/jpeg"


class Commit(Message):
    """The user's turn is over: reply."""


class Stop(Message):
    """Stop the reply."""


class Result(Message):
    """The answer to a call."""

    call: str
    name: str
    content: str


class Truncate(Message):
    """Forget what follows `heard_ms` of an item."""

    item: str
    heard_ms: int


class Played(Message):
    """A reply began to be played, or was played to its end."""

    started: bool


class Update(Message):
    """Change the session; what is missing stays."""

    system: str | None = None
    tools: list[Offer] | None = None


class Clear(Message):
    """Forget audio that was not committed."""


class Pong(Message):
    """The answer to a `ping`."""


ClientMessage: TypeAlias = (
    Hello | Append | Text | Image | Commit | Stop | Result | Truncate | Played | Update | Clear | Pong
)


# -- server to client ----------------------------------------------------------------------------------


class Welcome(Message):
    """The session stands."""

    session: str = ""
    model: str = ""


class Refused(Message):
    """The session does not stand."""

    code: str
    message: str
    retryable: bool = False


class Audio(Message):
    """The next piece of a reply's speech."""

    delta: bytes
    response: str = ""
    item: str = ""
    output_index: int = 0


class Words(Message):
    """The next piece of what somebody says."""

    role: str
    text: str
    final: bool = False
    response: str = ""
    item: str = ""


class Voice(Message):
    """The user began or stopped to speak."""

    speaking: bool
    item: str = ""


class Call(Message):
    """The next piece of a call; `last` completes it."""

    call: str
    name: str = ""
    arguments: str = ""
    index: int = 0
    first: bool = True
    last: bool = True


class Withdrawn(Message):
    """A call needs no answer any more."""

    call: str
    name: str = ""
    reason: str = ""


class Cut(Message):
    """A reply was cut."""

    response: str = ""


class Done(Message):
    """A reply is complete."""

    reason: str = "end_turn"
    response: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class Handle(Message):
    """How to take the session up again; empty: not now."""

    handle: str = ""


class Leaving(Message):
    """The server will close the connection."""

    seconds: float


class Ping(Message):
    """Are you there?"""


class Failed(Message):
    """A request was refused; the session goes on."""

    message: str
    code: str = ""


ServerMessage: TypeAlias = (
    Welcome | Refused | Audio | Words | Voice | Call | Withdrawn | Cut | Done | Handle | Leaving | Ping | Failed
)
