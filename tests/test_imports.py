"""What an import costs: a package loads what it needs when it is used."""

import subprocess
import sys

import pytest

HEAVY = {"numpy", "pydantic", "pydantic_core", "jsonschema", "websockets", "onnxruntime", "ctranslate2", "tokenizers"}
HEAVY |= {
    "google",
    "httpx",
    "yaml",
    "requests",
    "urllib3",
    "xllamacpp",
    "soxr",
    "sanotts",
    "rich",
    "textual",
    "typer",
    "hypothesis",
    "pytest",
}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_the_core_loads_no_heavy_module_and_no_provider():
    loaded = loaded_by("from duologue import RealtimeAgent")
    assert "duologue" in loaded
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("duologue_")} == set()


@pytest.mark.parametrize(
    ("package", "needs"),
    [
        ("duologue.testing", set()),
        ("duologue_local", set()),
        ("duologue_google", set()),
        ("duologue_distiller", set()),
        ("duologue_cli", {"typer"}),
    ],
)
def test_importing_a_package_loads_no_heavy_module_but_what_it_starts_with(package, needs):
    assert loaded_by(f"import {package}") & HEAVY <= needs


def test_looking_for_transports_loads_none():
    loaded = loaded_by("import duologue; duologue.available_transports()")
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("duologue_")} == set()


def test_making_a_tool_loads_pydantic_only_when_its_schema_is_asked_for():
    tool = "import duologue\n@duologue.tool\ndef t(a: int) -> str:\n    'T.'\n"
    assert "pydantic" not in loaded_by(tool)
    assert "pydantic" in loaded_by(tool + "t.input_schema")
