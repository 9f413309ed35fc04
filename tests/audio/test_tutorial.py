"""The tutorial, followed word for word: a clone, an environment of its own, a microphone and a loudspeaker."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conversation import say
from .reciter import user_voice
from .tmux import Tmux

pytestmark = [pytest.mark.audio, pytest.mark.models]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial" / "talking-agent.md"
CLOUD = "## 5."  # what follows needs a key
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
SAVED = re.compile(r"Save this as `([\w.]+)`")


def steps() -> list[tuple[str, str]]:
    """What a reader does: save a file, given by its name, or run a command, given as ""."""
    text = PAGE.read_text().partition(CLOUD)[0]
    found = []
    for fence in FENCE.finditer(text):
        if fence["language"] == "python":
            found.append((SAVED.findall(text[: fence.start()])[-1], fence["body"]))
        elif fence["language"] == "sh":
            found.append(("", fence["body"].strip()))
    return found


async def shell(command: str, folder: Path, environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_shell(
        command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(400):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def speak_and_listen(command: str, clone: Path, scratch: Path) -> None:
    """Run what listens to a microphone, ask it for light, and end it."""
    (sentence,) = user_voice(("Switch on the light in the kitchen.",))
    scratch.mkdir()
    shown = Tmux(scratch, f"sh -c 'cd {clone} && exec {command}'")
    try:
        await shown.wait_for("Speak", within=120)
        await say(sentence, "mic_in")
        text = await shown.wait_for("The light in the kitchen is on.", within=30)
        assert "you" in text
        shown.press("C-c")
        await shown.end()
        assert shown.is_as_before
        assert shown.left_running() == []
    finally:
        shown.close()


async def test_the_tutorial_followed_word_for_word(start_rig, tmp_path, monkeypatch):
    if shutil.which("tmux") is None and not os.environ.get("CI"):
        pytest.skip("no tmux here")
    start_rig("caller")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "python")], check=True)
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'python' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    said = []
    for number, (name, body) in enumerate(steps()):
        if name:
            (clone / name).write_text(body)
        elif "--say" in body:
            said.append(await shell(body, clone, dict(os.environ)))
        else:
            await speak_and_listen(body, clone, tmp_path / f"terminal{number}")
    assert "in Tokyo" in said[0]
    assert "The light in the kitchen is on." in said[1]
    assert len(said) == 2


def test_the_page_has_the_steps_that_are_followed():
    assert [name or body.split("--")[0] for name, body in steps()] == [
        "pip install uv && uv run duologue chat ",
        "lights.py",
        "uv run duologue chat ",
        "uv run duologue chat ",
        "my_agent.py",
        "uv run python my_agent.py",
    ]
