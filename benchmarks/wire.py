"""What the wire layer costs with the toy protocol: the whole agent, and the sockets alone.

Run: `uv run python benchmarks/wire.py [agent|sockets|memory] [MEASURE]`, where MEASURE is a part of a row's name.
Prints tables and writes `wire.json`, `wire_sockets.json` and `wire_memory.json` into `benchmarks/results/`. Needs the
extra `duologue[fast]`.
"""

from __future__ import annotations

import sys
from binascii import b2a_base64
from typing import TYPE_CHECKING

import msgspec
from duologue.testing.toy import ToyTransport
from duologue.testing.toy import messages as m
from wire_kit import SPEECH, Provider, compare, report
from wire_peer import NUMBER, Script

if TYPE_CHECKING:
    from wire_peer import Frame

_PADDING = {"session": "s" * 36, "event": "e" * 24, "created": 1764000000.123, "content_index": 0}
"""What providers put around their audio, so that a message is as long as theirs: 2.8 KB."""

_decode = msgspec.json.Decoder(m.ServerMessage).decode
_encode = msgspec.json.encode


def frame(message: m.Message) -> str:
    return _encode(message).decode()


def audio(response: str) -> str:
    return _encode({**msgspec.to_builtins(m.Audio(SPEECH, response, f"item-{response}")), **_PADDING}).decode()


def speech(frame: Frame) -> bytes | None:
    message = _decode(frame)
    return message.delta if type(message) is m.Audio else None


def chunk(pcm: bytes) -> str:
    return f'{{"type":"append","audio":"{b2a_base64(pcm, newline=False).decode()}"}}'


def answer(frame: Frame) -> str | None:
    message = _decode(frame)
    if type(message) is m.Call:
        return _encode(m.Result(message.call, message.name, "42")).decode()
    return _encode(m.Stop()).decode() if type(message) is m.Voice else None


TOY = Provider(
    script=Script(
        welcome=(frame(m.Welcome("s1", "toy")),),
        audio=audio("r1"),
        call=(frame(m.Call(f"call-{NUMBER}", "answer", "{}")),),
        result=b'"type":"result"',
        speech=(audio(f"r{NUMBER}"), frame(m.Voice(speaking=True, item=f"user-{NUMBER}"))),
        stop=b'"type":"stop"',
        stopped=(frame(m.Cut(f"r{NUMBER}")),),
    ),
    hello=(frame(m.Hello("You are brief.")),),
    speech=speech,
    chunk=chunk,
    answer=answer,
    transport=ToyTransport,
)


def main(what: str = "", only: str = "") -> None:
    if what in ("", "agent"):
        report(compare(TOY, only), "wire")
    if what in ("", "sockets"):
        from wire_sockets import compare_sockets

        report(compare_sockets(TOY.script), "wire_sockets", base="websockets")
    if what in ("", "memory"):
        from wire_memory import weigh

        report(weigh("wire", "TOY"), "wire_memory")


if __name__ == "__main__":
    main(*sys.argv[1:])
