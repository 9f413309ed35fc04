"""ServedSession: a session's settings as a server keeps them. Pure."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.errors import ConfigurationError
from duologue.tool import Tool
from duologue.transport import TurnDetection

from duologue_openai.plan import PCM
from duologue_openai.server_events import Fault
from duologue_openai.session_object import SessionObject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULTS: Mapping[str, Any] = {
    "type": "realtime",
    "object": "realtime.session",
    "output_modalities": ["audio"],
    "instructions": "",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "noise_reduction": None,
            "transcription": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 500,
                "create_response": True,
                "interrupt_response": True,
                "idle_timeout_ms": None,
            },
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
    },
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "truncation": "auto",
    "tracing": None,
    "prompt": None,
}


_CAN_BE_OFF = frozenset({"turn_detection", "transcription", "noise_reduction", "tracing", "prompt"})
"""Settings that null turns off; for all others it says nothing."""


class Refused(Exception):
    """An event of the client is refused; `fault` is what it is told."""

    def __init__(self, code: str, message: str, param: str | None = None, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.fault = Fault(type=kind, code=code, message=message, param=param)


class ServedSession:
    """The settings.

    Attributes:
        fields: all of them, as the wire has them.
    """

    def __init__(self, model: str, session_id: str) -> None:
        self.fields: dict[str, Any] = {"id": session_id, "model": model, **copy.deepcopy(dict(DEFAULTS))}

    def update(self, change: Any, *, spoken: bool) -> None:
        """Take a change, whole or not at all; `spoken` says that the model has been heard.

        Raises:
            Refused: something in it is unknown, of the wrong kind, or too late.
        """
        if not isinstance(change, dict):
            raise Refused("missing_required_parameter", "Missing required parameter: 'session'.", "session")
        if change.get("type") not in ("realtime", "transcription"):
            raise Refused("missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type")
        _check_keys(change, SessionObject, "session")
        try:
            msgspec.convert(change, SessionObject)
        except msgspec.ValidationError as exc:
            raise Refused("invalid_value", str(exc), "session") from None
        if change.get("model") not in (None, self.fields["model"]):
            raise Refused("invalid_value", "The model of a session can't be changed.", "session.model")
        voice = ((change.get("audio") or {}).get("output") or {}).get("voice")
        if voice is not None and spoken and voice != self.fields["audio"]["output"]["voice"]:
            message = "The voice can't be changed once the model has spoken."
            raise Refused("cannot_update_voice", message, "session.audio.output.voice")
        _merge(self.fields, change)

    @property
    def object(self) -> SessionObject:
        """The settings as a message holds them."""
        return msgspec.convert(self.fields, SessionObject)

    @property
    def detection(self) -> TurnDetection:
        """Who ends the user's turn."""
        wire = self.fields["audio"]["input"]["turn_detection"]
        if wire is None:
            return TurnDetection("manual")
        semantic = wire.get("type") == "semantic_vad"
        return TurnDetection(
            "semantic" if semantic else "server",
            threshold=None if semantic else wire.get("threshold"),
            prefix_ms=None if semantic else wire.get("prefix_padding_ms"),
            silence_ms=None if semantic else wire.get("silence_duration_ms"),
            interrupt=wire.get("interrupt_response") is not False,
            create_response=wire.get("create_response") is not False,
        )

    @property
    def transcribes(self) -> bool:
        """Whether the user's words are told."""
        return self.fields["audio"]["input"]["transcription"] is not None

    def format(self, direction: str) -> str:
        """The media type of "input" or "output"."""
        kind = (self.fields["audio"][direction]["format"] or {}).get("type", "audio/pcm")
        return PCM if kind == "audio/pcm" else str(kind)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The client's functions, without handlers.

        Raises:
            Refused: one has no name.
        """
        return tuple(_tool(wire) for wire in self.fields["tools"] or () if wire.get("type") == "function")


def _tool(wire: Mapping[str, Any]) -> Tool:
    try:
        return Tool(str(wire.get("name") or ""), None, str(wire.get("description") or ""), wire.get("parameters"))
    except ConfigurationError as exc:
        raise Refused("invalid_value", str(exc), "session.tools") from None


def _check_keys(given: Mapping[str, Any], kind: type[msgspec.Struct], path: str) -> None:
    known = {name: _struct_in(annotation) for name, annotation in _annotations(kind).items()}
    for key, value in given.items():
        if key not in known:
            raise Refused("unknown_parameter", f"Unknown parameter: '{path}.{key}'.", f"{path}.{key}")
        inner = known[key]
        if inner is not None and isinstance(value, dict):
            _check_keys(value, inner, f"{path}.{key}")


def _annotations(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    choices: Sequence[Any] = getattr(annotation, "__args__", (annotation,))
    return next((c for c in choices if isinstance(c, type) and issubclass(c, msgspec.Struct)), None)


def _merge(fields: dict[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if value is None and key not in _CAN_BE_OFF:
            continue
        old: Any = fields.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        if both and key in ("audio", "input", "output"):
            _merge(old, value)
        elif both and old.get("type") == value.get("type", old.get("type")):
            fields[key] = {**old, **value}
        else:
            fields[key] = value
