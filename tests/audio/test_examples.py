"""What a newcomer runs, on the rig: the smoke test and the live chat."""

import asyncio
import os
import re
import signal
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from .conversation import recorded, say
from .reciter import user_voice

pytestmark = [pytest.mark.audio, pytest.mark.models]

ROOT = Path(__file__).resolve().parents[2]


async def played(folder, action):
    """Record the loudspeaker while `action` runs; return its result and how many ms were loud."""
    async with recorded("spk", folder / "spk") as recording:
        result = await action
    sound = recording.samples().astype(int)
    frames = np.abs(sound[: len(sound) // 480 * 480].reshape(-1, 480)).max(axis=1)
    return result, int((frames > 200).sum() * 10)


async def start(*arguments):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def read_until(stream, part):
    text = ""
    async with asyncio.timeout(60):
        while part not in text:
            line = await stream.readline()
            assert line, f"no {part!r} in {text!r}"
            text += line.decode()
    return text


async def test_the_smoke_test_says_an_answer(start_rig, tmp_path):
    start_rig("caller")

    async def smoke():
        process = await start(str(ROOT / "examples" / "realtime_smoke" / "smoke.py"))
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    said, loud_ms = await played(tmp_path, smoke())
    answer, heard = said.splitlines()
    assert "Paris" in answer
    heard_ms = int(re.fullmatch(r"(\d+) ms heard", heard)[1])
    assert 0.5 * heard_ms < loud_ms <= heard_ms + 50  # the voice has pauses


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
async def test_a_live_chat_hears_answers_and_ends_by_ctrl_c(start_rig, tmp_path):
    start_rig("caller")
    (question,) = user_voice(("What time is it in Tokyo?",))

    async def chat():
        process = await start("-m", "duologue_cli", "chat", "--output", str(tmp_path / "out.wav"))
        shown = await read_until(process.stdout, "Speak; Ctrl-C")
        await say(question, "mic_in")
        shown += await read_until(process.stdout, "voice to voice")
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert process.returncode == 130, err.decode()
        return shown + out.decode()

    shown, loud_ms = await played(tmp_path, chat())
    lines = shown.splitlines()
    assert any(line.startswith("you    ") and "Tokyo" in line for line in lines)
    assert any(line.startswith("agent  ") for line in lines)
    assert "1 user turn, 1 answer" in lines[-1]
    assert loud_ms > 100
    with wave.open(str(tmp_path / "out.wav")) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)
    assert np.abs(both[0::2]).max() > 1000
    assert np.abs(both[1::2]).max() > 1000
