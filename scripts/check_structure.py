"""Check the rules of the house that no linter knows; CONTRIBUTING.md says why each exists."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 400
NAMELESS = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
TASK_OWNER = "packages/duologue/src/duologue/tasks.py"
# Spelled in parts, or this file would break the rule it checks.
HOSTS = re.compile(
    "|".join((r"pypi\." + "org", "pythonhosted" + r"\.org", r"registry\.npmjs\." + "org", r"deb\.debian\." + "org"))
)
MACHINE_PATHS = re.compile(r"(?<![\w./~-])/(?:" + "work|root" + r")/\w")
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + r"X)\b")


def tracked(root: Path) -> list[Path]:
    """Return the files git tracks, as paths relative to `root`."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [Path(name) for name in listing.split("\0") if name and (root / name).is_file()]


def is_module(path: Path) -> bool:
    """Whether a path is Python that ships or is shown to users, not a test of it."""
    return path.suffix == ".py" and "tests" not in path.parts


def module_faults(path: Path, source: str) -> Iterator[str]:
    """Yield what is wrong with one module."""
    lines = source.splitlines()
    if len(lines) > LONGEST:
        yield f"{path}: {len(lines)} lines, {LONGEST} is the limit: move a noun into its own module"
    if path.name in NAMELESS:
        yield f"{path}: a name that says nothing: call it after what it holds"
    tree = ast.parse(source)
    if path.name != "__main__.py" and ast.get_docstring(tree) is None:
        yield f"{path}: no docstring says what the module is for"
    commented = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ExceptHandler)
            and is_broad(node)
            and not (passes_on(node) or says_why(node, commented))
        ):
            yield f"{path}:{node.lineno}: a broad except needs its reason in a comment"
        if isinstance(node, ast.Call):
            yield from (f"{path}:{node.lineno}: {fault}" for fault in call_faults(path, node, commented))
    if "src" in path.parts:
        for statement in tree.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                yield f"{path}:{statement.lineno}: something happens on import"


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches everything."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds
    )


def passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether a handler only tidies up: it ends by raising the same again."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def says_why(handler: ast.ExceptHandler, commented: set[int]) -> bool:
    """Whether a comment stands on the line of the handler, just above it or before its first statement."""
    return any(line in commented for line in range(handler.lineno - 1, handler.body[0].lineno + 1))


def call_faults(path: Path, call: ast.Call, commented: set[int]) -> Iterator[str]:
    """Yield what is wrong with one call: a task without owner, a queue without bound and without a reason for it."""
    if not isinstance(call.func, ast.Attribute):
        return
    owner, name = ast.unparse(call.func.value), call.func.attr
    starts_task = name == "ensure_future" or (name == "create_task" and re.search(r"asyncio|loop", owner))
    if starts_task and path.as_posix() != TASK_OWNER:
        yield f"{owner}.{name} starts a task that nobody owns: {TASK_OWNER} does it, or a TaskGroup"
    unbounded = owner in ("asyncio", "queue") and name.endswith("Queue") and not call.args and not call.keywords
    if unbounded and commented.isdisjoint((call.lineno - 1, call.lineno)):
        yield f"{owner}.{name}() has no bound: say how much may wait, or in a comment what bounds it"


def package_faults(package: Path) -> Iterator[str]:
    """Yield what a package lacks."""
    module = package.name.replace("-", "_")
    source = package / "src" / module
    for needed in (package / "README.md", package / "pyproject.toml", source / "__init__.py", source / "py.typed"):
        if not needed.is_file():
            yield f"packages/{package.name}: no {needed.relative_to(package)}"
    if not any(package.glob("tests/**/test_*.py")):
        yield f"packages/{package.name}: no tests"
    if (source / "__init__.py").is_file() and "__all__" not in (source / "__init__.py").read_text():
        yield f"packages/{package.name}: __init__.py has no __all__: what is public?"


def text_faults(path: Path, text: str) -> Iterator[str]:
    """Yield what no tracked text may hold."""
    for number, line in enumerate(text.splitlines(), 1):
        if HOSTS.search(line):
            yield f"{path}:{number}: names the host of a package registry"
        if MACHINE_PATHS.search(line):
            yield f"{path}:{number}: names a path of one machine"
        if UNFINISHED.search(line):
            yield f"{path}:{number}: unfinished work: do it, or file it as an issue"


def faults(root: Path, paths: list[Path]) -> list[str]:
    """Return everything that is wrong below `root`, looking at `paths` only."""
    found = [fault for package in sorted(root.glob("packages/*/")) for fault in package_faults(package)]
    for path in paths:
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a recording or a picture
        found += text_faults(path, text)
        if is_module(path):
            found += module_faults(path, text)
    return found


def main() -> None:
    """Print every fault; exit 1 if there is one."""
    found = faults(ROOT, tracked(ROOT))
    for fault in found:
        print(fault)
    print(f"structure: {len(found)} faults")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
