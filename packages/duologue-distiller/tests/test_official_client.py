"""The official client airefinery-sdk, unmodified, against our server codec.

It needs Python 3.12 and 200 MB, so it is no dependency: `DUOLOGUE_AIREFINERY_PYTHON` names an interpreter that has it.
"""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from duologue.blocks import AudioBlock, TextBlock
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Interrupted,
    Problem,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import Peer
from duologue.types import StopReason
from duologue.wire import AnswerCall, ClearInput, CommitTurn, NotePlayback, SendContent, StopReply

from .front import served_in_thread

pytestmark = pytest.mark.clients
PYTHON = os.environ.get("DUOLOGUE_AIREFINERY_PYTHON")
END, CUT = TurnComplete(StopReason.end_turn), TurnComplete(StopReason.interrupted)
SOUND = AudioOutputDelta(b"\1\2" * 160, "audio/pcm;rate=16000")


def said(delta):
    return TranscriptDelta("assistant", delta)


class Script:
    def __init__(self):
        self.got = []

    async def __call__(self, peer: Peer):
        for frame in peer.codec.ping():
            await peer.frame(frame)
        await self.asked(peer, "hello there")
        await peer.send(TranscriptDelta("user", "hello "), TranscriptDelta("user", "there", True))
        await peer.send(Problem(ValueError("by the way")), AgentChanged("A"), said("Hi "), SOUND)
        await peer.send(AgentChanged("B"), said("you"), SOUND, END)

        await self.asked(peer, "call the agent")
        arguments = ToolInputDelta(0, "r1", '{"query": "today"}')
        await peer.send(ToolUseStart(0, "r1", "Weather"), arguments, ToolUseEnd(0, "r1"))
        self.got.append(await peer.expect(AnswerCall))
        await peer.send(said("It is sunny"), END)

        await self.asked(peer, "a long story")
        await peer.send(said("Once"), SOUND)
        self.got.append(await peer.expect(StopReply))
        await peer.send(CUT)

        for kind in (NotePlayback, NotePlayback, CommitTurn, ClearInput):
            self.got.append(await peer.expect(kind))
        self.got.append(await peer.expect(SendContent, lambda c: isinstance(c.block, AudioBlock)))

        await self.asked(peer, "be interrupted")
        await peer.send(said("Well"), SOUND, Interrupted(), CUT)
        await asyncio.sleep(60)

    async def asked(self, peer, text):
        assert (await peer.expect(SendContent)).block == TextBlock(text)
        await peer.expect(CommitTurn)


@pytest.mark.skipif(not PYTHON, reason="DUOLOGUE_AIREFINERY_PYTHON names no interpreter with airefinery-sdk")
def test_the_official_client_holds_a_conversation(tmp_path):
    script = Script()
    with served_in_thread(script) as front:
        done = subprocess.run(
            [str(PYTHON), str(Path(__file__).with_name("official_client.py")), front.url],
            env={**os.environ, "AIR_SILENT": "1", "PYTHONPATH": ""},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["created"] is True
    assert seen["downloaded"]
    assert seen["text"][:4] == [["A", ""], ["A", "Hi "], ["B", ""], ["B", "you"]]
    assert seen["called"] == "today"
    for turn in ("hello", "tool", "cancelled", "interrupted"):
        kinds = [kind for kind in seen[turn] if kind not in ("PING", "session.created")]
        assert kinds.count("response.created") == kinds.count("response.done") == 1
        assert kinds[-3:] == ["response.audio.done", "response.text.done", "response.done"]
    assert "response.interrupted" in seen["interrupted"]
    answer, stop, started, stopped, commit, clear, audio = script.got
    assert answer == AnswerCall("r1", "Weather", "sunny, today")
    assert (stop, commit, clear) == (StopReply(), CommitTurn(), ClearInput())
    assert (started, stopped) == (NotePlayback(True), NotePlayback(False))
    assert audio.block.data == b"\x01\x02" * 160
