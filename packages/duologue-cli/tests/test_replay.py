"""Recording a conversation over a real socket, and showing it again."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from duologue.testing import StandIn, WireServer
from duologue.testing.toy import ToyServerCodec
from duologue_cli.command import run
from duologue_cli.replay import show_replay


@pytest.fixture
def toy_url() -> Iterator[str]:
    """A server of the toy protocol on a thread of its own: the command has its own loop."""
    ready, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        async with WireServer(ToyServerCodec, StandIn()) as server:
            found.append(server.url)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    over.set()
    thread.join(10)


@pytest.fixture
def talk(doubles: Path, toy_url: str, capsys: pytest.CaptureFixture[str]) -> Path:
    """A recorded conversation of two typed turns."""
    turns = ["--text", "--say", "hello there", "--say", "and goodbye"]
    code = run(["chat", "--transport", "toy", "--base-url", toy_url, *turns, "--record", "talk.jsonl"])
    assert code == 0, capsys.readouterr().err
    capsys.readouterr()
    return Path("talk.jsonl")


def test_a_recorded_conversation_is_shown_again(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", str(talk)]) == 0
    out = capsys.readouterr().out
    lines = [line.rstrip() for line in out.splitlines()]
    shown = [line for line in lines if line.startswith(("you", "agent"))]
    assert shown == ["you    hello there", "agent  hello there", "you    and goodbye", "agent  and goodbye"]
    assert "Captured 20" in out
    assert "differently" not in out


def test_as_json_it_ends_with_a_summary(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "--json", str(talk)]) == 0
    *events, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "SessionStarted"
    assert summary["assistant"] == ["hello there", "and goodbye"]


def test_at_its_original_time_it_takes_as_long_as_it_took(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slept: list[float] = []
    assert show_replay(talk, json=True, original_time=True, sleep=slept.append) == 0
    times = [json.loads(line)["t"] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert sum(slept) == pytest.approx(times[-1] - times[0], abs=0.01)


def test_what_is_no_capture_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    path.write_text("hello")
    assert run(["replay", str(path)]) == 2
    assert "is no capture" in capsys.readouterr().err


def test_the_offline_transport_has_nothing_to_capture(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "--text", "--say", "hello", "--record", "talk.jsonl"]) == 2
    assert "`local` uses none" in capsys.readouterr().err


def test_a_file_that_cant_be_written_says_so(doubles: Path, toy_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "--transport", "toy", "--base-url", toy_url, "--text", "--say", "x", "--record", "no/a"]) == 2
    assert "can't be written" in capsys.readouterr().err
