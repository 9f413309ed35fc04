"""Events as JSON lines: one object each, audio as its length in ms."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duologue_audio import LoopEvent


def event_object(event: LoopEvent, t: float) -> dict[str, Any]:
    """Return an event as JSON-able data; bytes never appear, whatever a provider put into its events."""
    return {"t": round(t, 3), "event": type(event).__name__, **_fields(event)}


def json_line(content: Mapping[str, Any]) -> str:
    """Return `content` as one line of JSON, without the line break."""
    return json.dumps(_plain(content), ensure_ascii=False, allow_nan=False)


def _fields(value: Any) -> dict[str, Any]:
    fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    data, media_type = fields.get("data"), fields.get("media_type", "")
    if isinstance(data, bytes) and isinstance(media_type, str) and media_type.startswith("audio/"):
        del fields["data"]
        fields = {"audio_ms": _audio_ms(data, media_type), **fields}
    return {name: _plain(item) for name, item in fields.items()}


def _audio_ms(data: bytes, media_type: str) -> float:
    kind, *parameters = media_type.replace(" ", "").lower().split(";")
    rate = next((p[5:] for p in parameters if p.startswith("rate=")), "")
    width = 1 if kind in ("audio/pcmu", "audio/pcma") else 2
    hertz = int(rate) if rate.isdecimal() and int(rate) else {1: 8000, 2: 24000}[width]
    return round(len(data) / width * 1000 / hertz, 1)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # a lone surrogate can't be printed
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": len(value)}
    if isinstance(value, BaseException):
        code = getattr(value, "code", None)
        return {"type": type(value).__name__, "message": _plain(str(value)), **({"code": _plain(code)} if code else {})}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **_fields(value)}
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return _plain(str(value))
