"""The rig, for tests that need a sound card."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def rig_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripts_audio_rig", ROOT / "scripts" / "audio_rig.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rig_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: PortAudio reads its configuration once in a process."""
    return tmp_path_factory.mktemp("rig") / "rig"


@pytest.fixture(scope="session")
def calm(rig_script: ModuleType) -> object:
    """Its patience is for the whole run: on a machine that stays busy, the tests are skipped soon."""
    return rig_script.Calm()


@pytest.fixture
def start_rig(
    rig_script: ModuleType, calm: Any, rig_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], object]]:
    """Start a rig of one's own; skips where there can't be one, but in CI it must work."""
    rig = rig_script.Rig(rig_folder)

    def start(setup: str) -> object:
        try:
            rig.start(setup)
        except rig_script.RigError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no audio rig here: {error}")
        if not calm.wait():
            pytest.skip("this machine is too busy for its sound server, so what is heard says nothing of us")
        for name, value in rig.environment.items():
            monkeypatch.setenv(name, value)
        return rig

    yield start
    rig.stop()
