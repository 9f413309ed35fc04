"""Content: the pieces that travel in both directions. Field names as in Google's reference, written in snake_case."""

from __future__ import annotations

from typing import Any

import msgspec


class Wire(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base of every wire message: camelCase on the wire; None is absent."""


class Blob(Wire):
    """Bytes with their media type."""

    mime_type: str | None = None
    data: bytes | None = None


class FunctionCall(Wire):
    """A call of a function that the client runs."""

    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None
    partial_args: list[dict[str, Any]] | None = None
    will_continue: bool | None = None


class FunctionResponsePart(Wire):
    """A piece of a result that is no JSON."""

    inline_data: Blob | None = None
    file_data: dict[str, Any] | None = None


class FunctionResponse(Wire):
    """The result of a call; `scheduling` and `will_continue` matter for calls that don't block."""

    id: str | None = None
    name: str | None = None
    response: dict[str, Any] | None = None
    scheduling: str | None = None
    will_continue: bool | None = None
    parts: list[FunctionResponsePart] | None = None


class Part(Wire):
    """One piece of a turn; one of these."""

    text: str | None = None
    thought: bool | None = None
    inline_data: Blob | None = None
    file_data: dict[str, Any] | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: dict[str, Any] | None = None
    code_execution_result: dict[str, Any] | None = None
    thought_signature: bytes | None = None


class Content(Wire):
    """A turn of one side: role "user" or "model"."""

    role: str | None = None
    parts: list[Part] | None = None
