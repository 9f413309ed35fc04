"""Write the public names and signatures of every package into `tests/public_api.txt`.

A test compares them, so that a change of what users see is seen in review. Run it as `just api`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "tests" / "public_api.txt"


def modules(root: Path) -> list[str]:
    """Return the modules whose `__all__` is public: each package, and the core's further doors."""
    packages = [path.parent.name for path in sorted(root.glob("packages/*/src/*/__init__.py"))]
    doors = ["duologue.realtime", "duologue.testing", "duologue_google.realtime", "duologue.voice"]
    return sorted([*packages, *doors])


def describe_module(name: str) -> list[str]:
    """Return the lines of one module."""
    module = importlib.import_module(name)
    lines = [name]
    for public in sorted(getattr(module, "__all__", ())):
        lines += [f"  {line}" for line in describe(public, getattr(module, public))]
    return lines


def describe(name: str, value: Any) -> list[str]:
    """Return the lines of one name: what it is, how it is called, what it has."""
    if not inspect.isclass(value):
        return [f"def {name}{signature(value)}"] if inspect.isroutine(value) else [f"{name}: {plain(value)}"]
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    head = f"class {name}({bases})" if bases else f"class {name}"
    if issubclass(value, enum.Enum):
        return [head, *(f"  {member.name} = {member.value!r}" for member in value)]
    if dataclasses.is_dataclass(value) or "__init__" in vars(value):
        head += "" if "Protocol" in bases else signature(value)
    return [head, *(f"  {line}" for line in members(value))]


def members(cls: type) -> list[str]:
    """Return the public methods and properties that a class itself defines."""
    lines = []
    for name, value in sorted(vars(cls).items()):
        if name.startswith(("_", "test_")):  # a contract suite's tests are no interface
            continue
        if isinstance(value, property | functools.cached_property):
            lines.append(name)
        elif isinstance(value, classmethod | staticmethod):
            lines.append(f"{type(value).__name__} {name}{signature(value.__func__)}")
        elif inspect.isfunction(value):
            kind = "async def" if inspect.iscoroutinefunction(value) else "def"
            lines.append(f"{kind} {name}{signature(value)}")
    return lines


def signature(value: Any) -> str:
    """Return a signature as it is written, the same on every Python."""
    found = inspect.signature(value)
    parts: list[str] = []
    last: Any = None
    for parameter in found.parameters.values():
        if last is parameter.POSITIONAL_ONLY and parameter.kind is not last:
            parts.append("/")
        if parameter.kind is parameter.KEYWORD_ONLY and last not in (parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY):
            parts.append("*")
        last = parameter.kind
        parts.append(one_parameter(parameter))
    if last is inspect.Parameter.POSITIONAL_ONLY:
        parts.append("/")
    returned = "" if found.return_annotation is found.empty else f" -> {annotation(found.return_annotation)}"
    return f"({', '.join(parts)}){returned}"


def one_parameter(parameter: inspect.Parameter) -> str:
    """Return `name: annotation = default`."""
    stars = "*" * (parameter.kind is parameter.VAR_POSITIONAL) or "**" * (parameter.kind is parameter.VAR_KEYWORD)
    typed = "" if parameter.annotation is parameter.empty else f": {annotation(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{typed}"
    default = "<function>" if inspect.isroutine(parameter.default) else plain(repr(parameter.default))
    return f"{stars}{parameter.name}{typed} = {default}"


def annotation(value: Any) -> str:
    """Return an annotation as text."""
    return value if isinstance(value, str) else inspect.formatannotation(value)


def plain(value: Any) -> str:
    """Return an alias or a constant as text without addresses."""
    if isinstance(value, frozenset):
        value = sorted(value)  # a set has no order to compare
    text = value if isinstance(value, str) else repr(value)
    text = text.replace("typing.", "").replace("NoneType", "None")
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def snapshot(root: Path) -> str:
    """Return the public interface of everything."""
    return "\n\n".join("\n".join(describe_module(name)) for name in modules(root)) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(ROOT))
