"""Tools named on the command line: MODULE:NAME is a function, a `Tool` or a list of them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError
from duologue.tool import Tool, tool

if TYPE_CHECKING:
    from collections.abc import Iterable


def load_tools(references: Iterable[str]) -> list[Tool]:
    """Import the tools; modules in the working directory are found too.

    Raises:
        ConfigurationError: a reference is malformed, its module doesn't import, the name isn't there, or
            what it names can't be a tool here.
    """
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does; a console script starts without it
    tools: dict[str, Tool] = {}
    for reference in references:
        for found in _load(reference):
            if found.name in tools:
                raise ConfigurationError(f"--tools {reference}: a second tool named {found.name!r}")
            tools[found.name] = found
    return list(tools.values())


def _load(reference: str) -> list[Tool]:
    module_name, colon, name = reference.partition(":")
    if not (module_name and colon and name):
        raise ConfigurationError(f"--tools {reference}: give MODULE:NAME, for example my_tools:weather")
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:  # somebody's module: whatever it raises, the answer is one line
        reason = " ".join(str(exc).split()) or "no reason given"
        raise ConfigurationError(
            f"--tools {reference}: the module does not import ({type(exc).__name__}: {reason})"
        ) from exc
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as exc:
            raise ConfigurationError(f"--tools {reference}: {module_name} has no {name}") from exc
    several = found if isinstance(found, list | tuple) else [found]
    return [_as_tool(reference, one) for one in several]


def _as_tool(reference: str, found: Any) -> Tool:
    if not isinstance(found, Tool) and (not callable(found) or isinstance(found, type)):
        raise ConfigurationError(f"--tools {reference}: {type(found).__name__} is neither a function nor a Tool")
    made = found if isinstance(found, Tool) else tool(found)
    if made.handler is None:
        raise ConfigurationError(f"--tools {reference}: {made.name} has no handler, so nobody would answer its calls")
    _ = made.input_schema  # a signature that can't be described is found out now
    return made
