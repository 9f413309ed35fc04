"""Backends that the command finds by entry point, as it finds installed ones."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import pytest
from duologue.testing import tone

MODULE = '''
import asyncio
import itertools
import sys
import time
from dataclasses import dataclass

from duologue.blocks import AudioBlock
from duologue.errors import ConfigurationError, RateLimited
from duologue.events import ProviderEvent, SpeechStarted, SpeechStopped, TranscriptDelta
from duologue.testing import Committed, ContentSent, End, Expect, ScriptedTransport, Wait, speech, tone

FIRST = AudioBlock(tone(20, rate=16000, hz=443), "audio/pcm;rate=16000")
PARTS = {"end_of_turn": 200.0, "asr": 50.0, "llm_first": 30.0, "tts_first": 20.0}


def listening(ms):
    """Hear an utterance that begins like `voice.wav`, and answer."""
    for n in itertools.count(1):
        yield Expect(ContentSent, where=lambda r: r.content == FIRST, within=600)
        yield SpeechStarted()
        yield Wait(0.2)
        yield SpeechStopped()
        yield TranscriptDelta("user", f"Question {n}?", True)
        yield ProviderEvent("double", "latency", {"response_id": f"r{n}", **PARTS})
        yield from speech(f"Answer {n}.", ms=ms, response_id=f"r{n}", item_id=f"i{n}")


def reading():
    for n in itertools.count(1):
        yield Expect(Committed, within=600)
        yield from speech(f"Answer {n}.", ms=100, response_id=f"r{n}", item_id=f"i{n}")


def dying():
    yield Expect(Committed)
    yield RateLimited("the provider asks for patience")


def dying_strangely():
    yield Expect(Committed)
    yield ValueError("a library of the provider gave up")


def voiced():
    return ScriptedTransport(lambda: listening(300))


def endless():
    return ScriptedTransport(lambda: listening(60_000))


def typed(base_url=None):
    return ScriptedTransport(reading)


def mortal():
    return ScriptedTransport(dying)


def strange():
    return ScriptedTransport(dying_strangely)


def greeting():
    return ScriptedTransport([Wait(0.1), *speech("Hello.", ms=200, response_id="r1"), Wait(0.4), End()])


def leaving():
    return ScriptedTransport([Wait(0.1), RateLimited("the provider asks for patience")])


def keyless():
    return ScriptedTransport(refuse=ConfigurationError("DOUBLE_API_KEY is not set"))


class Slow(ScriptedTransport):
    async def connect(self, **kwargs):
        print("connecting", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


class Stubborn(ScriptedTransport):
    async def connect(self, **kwargs):
        session = await super().connect(**kwargs)

        async def close():
            print("closing", file=sys.stderr, flush=True)
            time.sleep(60)  # whatever hangs here hangs the loop

        session.close = close
        return session


@dataclass
class Speech:
    pcm: bytes
    rate: int = 16000


class Voice:
    voices = ("double",)

    def synthesize(self, text, voice):
        return Speech(tone(100, rate=16000, hz=443) if text.strip(".") else b"")
'''

ENTRY_POINTS = """
[duologue.transports]
voiced = cli_doubles:voiced
endless = cli_doubles:endless
typed = cli_doubles:typed
mortal = cli_doubles:mortal
strange = cli_doubles:strange
greeting = cli_doubles:greeting
leaving = cli_doubles:leaving
keyless = cli_doubles:keyless
toy = duologue.testing.toy:ToyTransport
slow = cli_doubles:Slow
stubborn = cli_doubles:Stubborn
broken = cli_doubles_that_are_missing:any

[duologue.tts]
piper = cli_doubles:Voice
"""


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on the path that looks like an installed package; also the working directory."""
    home = tmp_path / "installed"
    metadata = home / "cli_doubles-0.dist-info"
    metadata.mkdir(parents=True)
    (home / "cli_doubles.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: cli-doubles\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.setattr(sys, "path", [str(home), *sys.path])
    monkeypatch.delitem(sys.modules, "cli_doubles", raising=False)
    monkeypatch.delenv("DUOLOGUE_TRANSPORT", raising=False)
    monkeypatch.delenv("DUOLOGUE_DEBUG", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(home))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def voice_wav(tmp_path: Path) -> Path:
    """A tenth of a second that the doubles take for an utterance."""
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(tone(100, rate=16000, hz=443))
    return path
