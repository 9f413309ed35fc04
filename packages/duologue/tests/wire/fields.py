"""Fields of a frame, read with suspicion: null counts as absent, anything else has to be of the right kind."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any, TypeVar

Node = dict[str, Any]
T = TypeVar("T")

_LONGEST_MS = 1e12


class Malformed(ValueError):
    """A frame lacks something or holds something of the wrong kind."""


def need(node: Node, key: str, kind: type[T], default: T | None = None) -> T:
    """Return a field, or `default` where it is absent or null.

    Raises:
        Malformed: it is of another kind, or absent without a default.
    """
    value = node.get(key)
    if value is None:
        if default is None:
            raise Malformed(f"{key!r} is missing")
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Malformed(f"{key!r} is a {type(value).__name__}, not a {kind.__name__}")
    return value


def nodes(node: Node, key: str, default: Sequence[Node] | None = None) -> list[Node]:
    """Return a list of objects."""
    found = need(node, key, list, None if default is None else list(default))
    for entry in found:
        if not isinstance(entry, dict):
            raise Malformed(f"{key!r} holds a {type(entry).__name__}, not objects")
    return found


def pcm(node: Node, key: str) -> bytes:
    """Return PCM16 from base64 of either alphabet."""
    text = need(node, key, str)
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError as exc:
        raise Malformed(f"{key!r} is not base64") from exc
    if len(data) % 2:
        raise Malformed(f"{key!r} is {len(data)} bytes of PCM16, half a sample too many")
    return data


def ms(node: Node, key: str) -> float:
    """Return a time in milliseconds."""
    value = node.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LONGEST_MS:
        raise Malformed(f"{key!r} is no time in milliseconds")
    return float(value)


def duration(text: str) -> float:
    """Return the seconds of a protobuf duration such as "50s"."""
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?s", text) is None:
        raise Malformed("a duration is not like '50s'")
    return float(text[:-1])
