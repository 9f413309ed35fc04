"""Offer: a tool of the façade's configuration, in whatever form it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError
from duologue.signature import Arguments
from duologue.tool import Tool
from duologue.voice.data import ToolDefinition

if TYPE_CHECKING:
    from collections.abc import Iterable


def as_tool(given: Any) -> Tool:
    """Make a tool of a function, a method, a `Tool`, a `ToolDefinition` or a dict with a schema.

    Raises:
        ConfigurationError: it is nothing of the kind.
    """
    if isinstance(given, Tool):
        return given
    if isinstance(given, ToolDefinition):
        return Tool(given.name, None, given.description, given.parameters)
    if isinstance(given, Mapping):
        inner = given.get("function")
        told = inner if isinstance(inner, Mapping) else given
        name = told.get("name")
        handler = told.get("handler") or (inner if callable(inner) else None)
        schema = told.get("parameters") or told.get("input_schema") or told.get("schema")
        if not isinstance(name, str) or (schema is None and handler is None):
            raise ConfigurationError(f"a dict is a tool if it has a name and parameters; this one has {sorted(given)}")
        return Tool(name, handler, str(told.get("description") or ""), schema)
    if callable(given):
        name = getattr(given, "__name__", "") or type(given).__name__
        return Tool(str(name), given)
    raise ConfigurationError(f"{given!r} is no tool: give a function, a Tool, a ToolDefinition or a dict with a schema")


def as_tools(given: Iterable[Any]) -> list[Tool]:
    """Make tools of everything that was given."""
    return [as_tool(one) for one in given]


def offered(tool: Tool) -> Tool:
    """The tool as the agent offers it: described and limited like it, and answered by the façade.

    Its arguments are checked where it runs, so that `on_tool_call` sees every call.
    """
    offer = Tool(
        tool.name,
        None,
        tool.description,
        tool.input_schema,
        timeout=tool.timeout,
        on_interrupt=tool.on_interrupt,
        delivery=tool.delivery,
        concurrency=tool.concurrency,
        blocking=tool.blocking,
    )
    offer.__dict__["arguments"] = Arguments(tool.input_schema, dict)
    return offer
