"""Functions: our tools as Gemini's declarations, and back; how each call of them is to be answered."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.errors import ConfigurationError
from duologue.tool import Tool

from duologue_google.client_messages import FunctionDeclaration, ToolEntry
from duologue_google.content import Blob, FunctionResponse, FunctionResponsePart
from duologue_google.schemas import from_openapi, to_openapi

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duologue.blocks import ContentBlock

    from duologue_google.models import ModelTraits

log = logging.getLogger(__name__)

SCHEDULING = {"now": "INTERRUPT", "when_idle": "WHEN_IDLE", "silent": "SILENT"}
"""Our delivery policy in Gemini's words."""

ERROR = "error: "

_NAME = re.compile(r"[A-Za-z_][\w.:-]{0,127}", re.ASCII)


def declare(tools: Iterable[Tool], traits: ModelTraits, model: str) -> list[FunctionDeclaration]:
    """Return the declarations of tools.

    Raises:
        ConfigurationError: a name that Gemini does not take, or a signature that can't be described.
    """
    found = []
    for tool in tools:
        if not _NAME.fullmatch(tool.name):
            raise ConfigurationError(
                f"Gemini takes no tool called {tool.name!r}: begin with a letter or _, go on with letters, digits, "
                "_ . : - and have at most 128 of them"
            )
        found.append(
            FunctionDeclaration(
                name=tool.name,
                description=tool.description or None,
                parameters=to_openapi(tool.input_schema),
                behavior=_behavior(tool, traits, model),
            )
        )
    return found


def blocks(tool: Tool, traits: ModelTraits) -> bool:
    """Whether the model waits for this tool's answer."""
    if not traits.nonblocking_tools:
        return True
    if not traits.blocking_tools:
        return False
    return traits.default_blocking if tool.blocking is None else tool.blocking


def _behavior(tool: Tool, traits: ModelTraits, model: str) -> str | None:
    waits = blocks(tool, traits)
    if tool.blocking is not None and tool.blocking != waits:
        can = "waits for every tool" if waits else "waits for no tool"
        log.warning("%s %s: blocking=%s of tool %r has no effect", model, can, tool.blocking, tool.name)
    if tool.blocking is None or not traits.nonblocking_tools:
        return None  # a model without a choice may refuse to be told
    return "BLOCKING" if waits else "NON_BLOCKING"


def tools_of(entries: Sequence[ToolEntry] | None) -> tuple[Tool, ...]:
    """Return the functions a client declared, as tools without handler."""
    found = []
    for entry in entries or ():
        for declared in entry.function_declarations or ():
            if not declared.name:
                continue
            schema = declared.parameters_json_schema or from_openapi(declared.parameters or {"type": "OBJECT"})
            blocking = {"BLOCKING": True, "NON_BLOCKING": False}.get(declared.behavior or "")
            found.append(Tool(declared.name, None, declared.description or "", schema, blocking=blocking))
    return tuple(found)


def response_of(
    call_id: str | None, name: str, content: str | Sequence[ContentBlock], scheduling: str | None
) -> FunctionResponse:
    """Return the result of a call; a message that begins with `error: ` becomes the key `error`."""
    parts: list[FunctionResponsePart] = []
    if isinstance(content, str):
        text = content
    else:
        text = "\n".join(block.text for block in content if isinstance(block, TextBlock))
        parts += [
            FunctionResponsePart(inline_data=Blob(mime_type=block.media_type, data=block.data))
            for block in content
            if isinstance(block, ImageBlock | AudioBlock)
        ]
    key, told = ("error", text.removeprefix(ERROR)) if text.startswith(ERROR) else ("output", text)
    return FunctionResponse(id=call_id, name=name, response={key: told}, scheduling=scheduling, parts=parts or None)


def content_of(response: FunctionResponse) -> str | list[ContentBlock]:
    """Return a client's result as ours: text, with what came beside it."""
    text = _text_of(response.response or {})
    blobs = [part.inline_data for part in response.parts or () if part.inline_data and part.inline_data.data]
    if not blobs:
        return text
    return [TextBlock(text), *(block for blob in blobs if (block := block_of(blob)) is not None)]


def block_of(blob: Blob) -> AudioBlock | ImageBlock | None:
    """Return bytes as the block they are; None for what we have no block for."""
    kind, data = (blob.mime_type or "audio/pcm").lower(), blob.data or b""
    if kind.startswith("audio/"):
        return AudioBlock(data, blob.mime_type or "audio/pcm")
    return ImageBlock(data, kind) if kind.startswith("image/") else None


def _text_of(response: dict[str, Any]) -> str:
    for key, before in (("error", ERROR), ("output", ""), ("result", "")):
        if set(response) == {key}:
            value = response[key]
            return before + (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return json.dumps(response, ensure_ascii=False)
