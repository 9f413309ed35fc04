"""Spelling: commands, messages and the link's own events as JSON, and back; what a capture is written in.

A dataclass is an object with its class's name as `kind`; bytes are `{"base64": ...}`. A mapping with such keys of its
own is wrapped: `{"kind": "Mapping", "entries": {...}}`.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any

from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.effects import AnswerCall, StopReply, Truncate
from duologue.errors import ConfigurationError, DuologueError
from duologue.events import Problem, Reconnected, Reconnecting, TurnComplete
from duologue.tool import Tool
from duologue.transport import TurnDetection
from duologue.types import CallRecord, Message, StopReason, Usage
from duologue.wire.commands import ClearInput, CommitTurn, NotePlayback, ProviderCommand, SendContent, UpdateSession

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(TextBlock, AudioBlock, ImageBlock, Message, CallRecord, TurnDetection),
        *(Reconnecting, Reconnected, TurnComplete, StopReason, Usage),
        *(SendContent, CommitTurn, StopReply, AnswerCall, Truncate, NotePlayback, UpdateSession, ClearInput),
        ProviderCommand,
    )
}


def spell(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, Problem):
        return {"kind": "Problem", "message": str(value.exception)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: spell(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, StopReason):
        return {"kind": "StopReason", "value": value.value}
    if isinstance(value, Tool):
        return {
            "kind": "Tool",
            "name": value.name,
            "description": value.description,
            "schema": value.input_schema,
            "blocking": value.blocking,
        }
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list | frozenset | set):
        return [spell(entry) for entry in value]
    if isinstance(value, Mapping):
        entries = {str(key): spell(entry) for key, entry in value.items()}
        return {"kind": "Mapping", "entries": entries} if entries.keys() & {"kind", "base64"} else entries
    return value


def unspell(value: Any) -> Any:
    """Return what `spell` was given; lists come back where there were tuples, but for fields of dataclasses.

    Raises:
        ConfigurationError: it was not made by `spell`, or by a later version.
    """
    if isinstance(value, list):
        return [unspell(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"base64"}:
        try:
            return base64.b64decode(value["base64"], validate=True)
        except (ValueError, TypeError) as exc:
            raise ConfigurationError(f"a capture holds bad base64: {exc}") from None
    kind = value.get("kind")
    if kind == "Mapping" and isinstance(value.get("entries"), dict):
        return {key: unspell(entry) for key, entry in value["entries"].items()}
    fields = {key: unspell(entry) for key, entry in value.items() if key != "kind"}
    if kind is None:
        return fields
    try:
        if kind == "Tool":
            return Tool(fields["name"], None, fields["description"], fields["schema"], blocking=fields["blocking"])
        if kind == "Problem":
            return Problem(DuologueError(fields["message"]))
        made = _KINDS[kind]
        if made is StopReason:
            return StopReason(fields["value"])
        tuples = {f.name for f in dataclasses.fields(made) if "tuple" in str(f.type)}
        return made(**{key: tuple(v) if key in tuples and isinstance(v, list) else v for key, v in fields.items()})
    except (KeyError, TypeError, ValueError) as exc:
        raise ConfigurationError(f"a capture holds a {kind!r} that this version does not know ({exc})") from None
