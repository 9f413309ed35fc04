"""Reading: JSON from the peer into typed messages, with every fault kept apart from what could be read.

Google's JSON is that of protocol buffers: each key may be written in camelCase or in snake_case, at every depth and
mixed within one message; null means absent; bytes are base64 of either alphabet. Keys inside maps with a meaning of
their own (arguments, results, schemas) are not keys of the protocol and stay as they are.
"""

from __future__ import annotations

import binascii
import functools
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

if TYPE_CHECKING:
    from duologue.wire import Frame

M = TypeVar("M", bound=msgspec.Struct)

_URL_SAFE = bytes.maketrans(b"-_", b"+/")

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)
"""What the JSON decoder raises for text that is no JSON, or JSON too deep to be looked at."""


@dataclass(slots=True)
class Reading(Generic[M]):
    """A message as far as it could be read.

    Attributes:
        message: the typed message; what could not be read is missing in it.
        unknown: keys that the types don't have, as (path, value), in the order in which they came.
        faults: what was wrong, one sentence each; empty for a sound message.
        keys: how many keys the message had, null ones included.
    """

    message: M
    unknown: list[tuple[tuple[str, ...], Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    keys: int = 0


def read(frame: Frame, kind: type[M]) -> Reading[M]:
    """Read a frame as a message of `kind`; never raises."""
    try:
        found = msgspec.json.decode(frame)
    except UNREADABLE as exc:
        return Reading(kind(), faults=[f"it is no JSON: {_brief(exc)}"])
    return read_object(found, kind)


def read_object(found: Any, kind: type[M]) -> Reading[M]:
    """Read decoded JSON as a message of `kind`; never raises."""
    reading = Reading(kind())
    if not isinstance(found, dict):
        reading.faults.append(f"it is {_called(found)}, not an object")
        return reading
    reading.keys = len(found)
    reading.message = _struct(found, kind, (), reading)
    return reading


def from_base64(text: str) -> bytes:
    """Decode base64 of either alphabet, padded or not.

    Raises:
        ValueError: it is not base64.
    """
    raw = text.encode("ascii").translate(_URL_SAFE)
    return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field is read: as a message, a list of messages, bytes, a free map, or a plain value of `kind`."""

    name: str
    how: str
    kind: Any


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, _Field]:
    """The fields of a message by both of their spellings."""
    hints = get_type_hints(kind)
    found: dict[str, _Field] = {}
    for name, wire_name in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        entry = _field(name, hints[name])
        found[name] = found[wire_name] = entry
    return found


def _field(name: str, hint: Any) -> _Field:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [arg for arg in get_args(hint) if arg is not type(None)]
        hint = inner[0] if len(inner) == 1 else Union[tuple(inner)]  # noqa: UP007 - built at run time
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _Field(name, "message", hint)
    if get_origin(hint) is list and issubclass(get_args(hint)[0], msgspec.Struct):
        return _Field(name, "messages", get_args(hint)[0])
    if hint is bytes:
        return _Field(name, "bytes", bytes)
    return _Field(name, "value", hint)


def _struct(node: dict[str, Any], kind: type[M], path: tuple[str, ...], reading: Reading[Any]) -> M:
    fields = _fields(kind)
    values: dict[str, Any] = {}
    for key, value in node.items():
        if value is None:
            continue
        known = fields.get(key)
        if known is None:
            reading.unknown.append(((*path, key), value))
            continue
        try:
            values[known.name] = _value(value, known, (*path, key), reading)
        except _Fault as exc:
            reading.faults.append(str(exc))
    return kind(**values)


def _value(value: Any, known: _Field, path: tuple[str, ...], reading: Reading[Any]) -> Any:
    match known.how:
        case "message":
            if not isinstance(value, dict):
                raise _Fault(path, f"is {_called(value)}, not an object")
            return _struct(value, known.kind, path, reading)
        case "messages":
            return _structs(value, known, path, reading)
        case "bytes":
            if not isinstance(value, str):
                raise _Fault(path, f"is {_called(value)}, not base64")
            try:
                return from_base64(value)
            except ValueError:
                raise _Fault(path, "is not base64") from None
        case _:
            try:
                return msgspec.convert(value, known.kind)
            except msgspec.ValidationError as exc:
                raise _Fault(path, f"does not fit ({_brief(exc)})") from None


def _structs(value: Any, known: _Field, path: tuple[str, ...], reading: Reading[Any]) -> list[Any]:
    if not isinstance(value, list):
        raise _Fault(path, f"is {_called(value)}, not a list")
    found = []
    for entry in value:
        if isinstance(entry, dict):
            found.append(_struct(entry, known.kind, path, reading))
        else:
            reading.faults.append(str(_Fault(path, f"holds {_called(entry)}, not objects")))
    return found


class _Fault(Exception):
    def __init__(self, path: tuple[str, ...], what: str) -> None:
        super().__init__(f"{'.'.join(path)!r} {what}")


def _called(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _brief(exc: Exception) -> str:
    return str(exc).partition(" - at ")[0][:120] or type(exc).__name__
