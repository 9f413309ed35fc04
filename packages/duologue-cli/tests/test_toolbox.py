import sys
from pathlib import Path

import pytest
from duologue.errors import ConfigurationError
from duologue_cli.toolbox import load_tools

MODULE = '''
from duologue import Tool, tool

def plain(city: str) -> str:
    """Say something about a city."""
    return city

@tool
async def ready(n: int) -> int:
    """Count."""
    return n

both = [plain, ready]
number = 3
nobody = Tool("nobody", None)

class Deep:
    @staticmethod
    def inside() -> str:
        """Say yes."""
        return "yes"

def odd(x: "Missing") -> str:
    """Take what does not exist."""
    return x
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch):
    """A module in the working directory, not on the path."""
    name = f"tools_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("name", "tools"),
    [("plain", ["plain"]), ("ready", ["ready"]), ("both", ["plain", "ready"]), ("Deep.inside", ["inside"])],
)
def test_functions_tools_and_lists_are_taken(module, name, tools):
    assert [tool.name for tool in load_tools([f"{module}:{name}"])] == tools


def test_several_references_add_up(module):
    assert [tool.name for tool in load_tools([f"{module}:plain", f"{module}:ready"])] == ["plain", "ready"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "has no absent"),
        ("number", "int is neither a function nor a Tool"),
        ("Deep", "type is neither"),
        ("nobody", "has no handler"),
        ("odd", "can't be read"),
    ],
)
def test_what_is_no_tool_is_refused(module, name, reason):
    with pytest.raises(ConfigurationError, match=reason):
        load_tools([f"{module}:{name}"])


def test_two_tools_of_one_name_are_refused(module):
    with pytest.raises(ConfigurationError, match="a second tool named 'plain'"):
        load_tools([f"{module}:plain", f"{module}:both"])


@pytest.mark.parametrize("reference", ["module", "module:", ":name", ""])
def test_a_malformed_reference_is_refused(reference):
    with pytest.raises(ConfigurationError, match="give MODULE:NAME"):
        load_tools([reference])


def test_a_module_that_does_not_import_is_one_line(tmp_path: Path, monkeypatch):
    (tmp_path / "broken_tools.py").write_text("raise RuntimeError('first\\nsecond')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"does not import \(RuntimeError: first second\)"):
        load_tools(["broken_tools:x"])
    with pytest.raises(ConfigurationError, match=r"does not import \(ModuleNotFoundError"):
        load_tools(["no_such_module_here:x"])
