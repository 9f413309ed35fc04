"""Frames: how the library and a worker process talk over a pipe.

A frame is two little-endian u32 lengths, a JSON header and raw bytes (audio stays binary).
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

Header = dict[str, Any]

_LENGTHS = struct.Struct("<II")
_LIMIT = 64 * 1024 * 1024
"""No message comes near this; more is a stray write into the pipe."""


def pack(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Return one frame."""
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(head), len(payload)) + head + payload


def read(stream: BinaryIO) -> tuple[Header, bytes] | None:
    """Read one frame; None when the stream ended, also in the middle of a frame.

    Raises:
        LocalProtocolError: what came is not a frame.
    """
    lengths = _exactly(stream, _LENGTHS.size)
    if lengths is None:
        return None
    head_size, payload_size = _LENGTHS.unpack(lengths)
    if head_size > _LIMIT or payload_size > _LIMIT:
        raise LocalProtocolError(f"a worker frame claims {head_size} + {payload_size} bytes: the pipe is garbled")
    head = _exactly(stream, head_size)
    payload = _exactly(stream, payload_size)
    if head is None or payload is None:
        return None
    try:
        header = json.loads(head)
    except ValueError as exc:
        raise LocalProtocolError("a worker frame has no JSON header: the pipe is garbled") from exc
    if not isinstance(header, dict):
        raise LocalProtocolError("a worker frame's header is no object: the pipe is garbled")
    return header, payload


def _exactly(stream: BinaryIO, size: int) -> bytes | None:
    data = stream.read(size) if size else b""
    return data if len(data) == size else None
