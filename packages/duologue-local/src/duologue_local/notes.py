"""Notes: small results worth keeping between runs, as JSON files in the user's cache directory.

A note that can't be read or written is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def cache_directory() -> Path:
    """Where the user's caches are on this system."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "duologue"


def read_note(kind: str, key: str) -> dict[str, Any] | None:
    """Return what was noted under this key."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # none yet, damaged, or no home directory
        note = json.loads(_path(kind, key).read_text("utf-8"))
        if isinstance(note, dict):
            return note
    return None


def write_note(kind: str, key: str, note: dict[str, Any]) -> None:
    """Note something; readers see the old note or the new one, never half of it."""
    with contextlib.suppress(OSError, RuntimeError):
        path = _path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as draft:
            json.dump(note, draft)
        Path(draft.name).replace(path)


def _path(kind: str, key: str) -> Path:
    return cache_directory() / kind / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
