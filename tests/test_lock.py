"""The versions: exact, the same everywhere, and without a download host."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXPORTED = """\
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:00 \\
    --hash=sha256:11
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:22
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:33
"""
PROJECT = '[project]\nname = "x"\n\n[tool.uv]\npackage = false\n\n[tool.other]\nkey = 1\n'


@pytest.fixture
def lock(script):
    return script("lock")


@pytest.fixture(scope="session")
def constraints(root: Path) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    return [Requirement(text) for text in project["tool"]["uv"]["constraint-dependencies"]]


def test_pins_keep_the_marker_only_where_a_package_has_two_versions(lock):
    assert lock.pins(EXPORTED) == [
        "colorama==0.4.6",
        "numpy==2.4.6; python_full_version < '3.12'",
        "numpy==2.5.5; python_full_version >= '3.12'",
    ]


def test_block_goes_into_the_table_of_uv_and_leaves_the_rest(lock):
    project = lock.with_block(PROJECT, lock.block(["a==1"], ["b==2"]))
    assert tomllib.loads(project) == {
        "project": {"name": "x"},
        "tool": {
            "uv": {
                "package": False,
                "constraint-dependencies": ["a==1"],
                "build-constraint-dependencies": ["b==2"],
            },
            "other": {"key": 1},
        },
    }


def test_block_written_twice_replaces_itself(lock):
    once = lock.with_block(PROJECT, lock.block(["a==1"], []))
    again = lock.with_block(once, lock.block(["a==2"], []))
    assert lock.with_block(again, lock.block(["a==1"], [])) == once
    assert lock.without_block(once).split() == PROJECT.split()


def test_a_project_without_table_is_refused(lock):
    with pytest.raises(SystemExit, match=r"no \[tool\.uv\]"):
        lock.with_block("[project]\n", lock.block([], []))


def test_uv_does_not_see_the_package_settings_of_this_machine(lock, monkeypatch, tmp_path):
    monkeypatch.setenv("UV_FIND_LINKS", "/nowhere/wheels")
    monkeypatch.setenv("UV_INDEX_URL", "http://localhost:1/nothing")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n')
    lock.uv("lock", project=tmp_path)
    assert "nowhere" not in (tmp_path / "uv.lock").read_text()


def test_a_failing_uv_ends_the_script(lock, tmp_path):
    with pytest.raises(SystemExit, match="`uv lock` failed"):
        lock.uv("lock", project=tmp_path)


def test_no_address_is_tracked(root):
    for name in ("requirements.lock", "pyproject.toml"):
        assert "://" not in (root / name).read_text(), name
    assert "uv.lock" in (root / ".gitignore").read_text().split()


def test_requirements_and_constraints_name_the_same_versions(root, constraints):
    pinned = re.findall(r"^([\w.-]+==[\w.!+]+)", (root / "requirements.lock").read_text(), re.MULTILINE)
    assert sorted(pinned) == sorted(f"{c.name}{c.specifier}" for c in constraints)


def test_every_locked_file_has_a_hash(root):
    blocks = re.split(r"\n(?=\S)", (root / "requirements.lock").read_text().strip())
    assert len(blocks) > 50
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_what_is_installed_is_what_is_pinned(constraints):
    """Of the packages that the workspace needs: an environment may hold others besides."""
    installed = {canonicalize_name(d.name): d.version for d in metadata.distributions()}
    wrong = [
        f"{c} but {installed[c.name]} is installed"
        for c in constraints
        if (c.marker is None or c.marker.evaluate()) and c.name in installed and installed[c.name] not in c.specifier
    ]
    assert wrong == []
    assert {"pydantic", "pytest", "onnxruntime"} <= installed.keys()
