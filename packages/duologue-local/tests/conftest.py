"""Fixtures of the local transport's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # tests are imported by path; their kit is a module beside them

from local_kit import Stages


@pytest.fixture
def scripted() -> Iterator[Callable[..., Stages]]:
    made: list[Stages] = []

    def make(*, asr: tuple[str, ...] = (), llm: tuple[Any, ...] = ()) -> Stages:
        made.append(Stages(asr, llm))
        return made[-1]

    yield make
    for stages in made:
        stages.asr.gate.set()
        stages.tts.gate.set()
        stages.llm.go.set()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes of the tests stay out of the user's cache, and are shared among them."""
    base = tmp_path_factory.getbasetemp() / "cache"
    base.mkdir(exist_ok=True)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(base))
