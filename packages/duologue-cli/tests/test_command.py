"""The command as a user meets it, against backends found by entry point."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from duologue import discovery
from duologue_audio import Device
from duologue_audio.testing import MemoryBackend, using_backend
from duologue_cli.command import run

COMMAND = [sys.executable, "-m", "duologue_cli"]


class Desk(MemoryBackend):
    """Several devices."""

    def devices(self) -> list[Device]:
        return [
            Device(0, "USB microphone", "ALSA", 2, 0, 44100, default_input=True),
            Device(1, "speaker", "ALSA", 0, 32, 48000, default_output=True),
            Device(10, "headset", "", 1, 1, 16000),
        ]


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def loudest(path: Path) -> tuple[int, int]:
    with wave.open(str(path)) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)
    return int(np.abs(both[0::2]).max()), int(np.abs(both[1::2]).max())


# -- a conversation -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("doubles")
def test_a_spoken_conversation_as_json(voice_wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(
        ["chat", "--transport", "voiced", "--input", str(voice_wav), "--say", "Hello.", "--json", "--output", "out.wav"]
    )
    out, err = capsys.readouterr()
    assert code == 0
    *events, summary = lines_of(out)
    assert [e["t"] for e in events] == sorted(e["t"] for e in events)
    assert summary == {
        "event": "summary",
        "user": ["Question 1?", "Question 2?"],
        "assistant": ["Answer 1.", "Answer 2."],
        "tools": [],
        "voice_to_voice_ms": summary["voice_to_voice_ms"],
        "latencies": summary["latencies"],
    }
    for total, parts in zip(summary["voice_to_voice_ms"], summary["latencies"], strict=True):
        assert sum(parts.values()) == pytest.approx(total, abs=0.06)
        assert 300 <= total < 1300
    assert err.splitlines()[0] == "Audio goes to duologue.testing.scripted.ScriptedTransport (transport 'voiced')."
    assert loudest(Path("out.wav")) == (pytest.approx(6000, rel=0.2), pytest.approx(6000, rel=0.01))


@pytest.mark.usefixtures("doubles")
def test_a_transcript_in_plain_lines(voice_wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "--transport", "voiced", "--input", str(voice_wav)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].strip() == "Audio goes to duologue.testing.scripted.ScriptedTransport (transport 'voiced')."
    assert lines[1].startswith("Connecting... ready in ")
    assert lines[2] == "you    Question 1?"
    assert lines[3] == "agent  Answer 1."
    assert lines[4].strip().startswith("voice to voice 3")
    assert lines[5].strip().startswith("1 user turn, 1 answer, voice to voice 3")
    assert "\x1b" not in out


@pytest.mark.usefixtures("doubles")
def test_typed_turns_and_the_transport_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUOLOGUE_TRANSPORT", "typed")
    arguments = ["chat", "--text", "--say", "One?", "--say", "Two?", "--json", "--base-url", "ws://localhost:1"]
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    summary = lines_of(out)[-1]
    assert summary["user"] == ["One?", "Two?"]
    assert summary["assistant"] == ["Answer 1.", "Answer 2."]
    assert summary["voice_to_voice_ms"] == summary["latencies"] == []
    assert err.startswith("What is typed goes to ws://localhost:1 (transport 'typed').")


@pytest.mark.usefixtures("doubles")
def test_lines_of_standard_input_are_turns() -> None:
    done = subprocess.run(
        [*COMMAND, "chat", "--text", "--transport", "typed"],
        input="One?\n\nTwo?",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line.startswith(("you", "agent"))] == [
        "you    One?",
        "agent  Answer 1.",
        "you    Two?",
        "agent  Answer 2.",
    ]


# -- what may be wrong --------------------------------------------------------------------------------------

HI = ["--text", "--say", "Hi"]
GOOD = ["chat", "--transport", "voiced", "--input", "voice.wav"]


@pytest.mark.usefixtures("doubles", "voice_wav")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chat", "--barge-in", "1"], "--barge-in is for given turns"),
        (["chat", "--device", "1", "--device", "2", "--device", "3"], "--device names one device for both directions"),
        (["chat", "--aec", "parrot"], "there is no echo canceller 'parrot': installed are"),
        ([*GOOD, "--device", "1"], "--device and --aec are for a live microphone"),
        ([*GOOD, "--aec", "off"], "--device and --aec are for a live microphone"),
        (["chat", "--text", "--input", "voice.wav"], "give one of the two"),
        (["chat", "--say", " "], "--say needs some text"),
        (["chat", "--transport", "voiced", "--say", "..."], "there is nothing in it to speak"),
        (["chat", "--input", "nowhere.wav"], "nowhere.wav: no such file"),
        (["chat", "--input", "empty.wav"], "empty.wav: the file is empty"),
        (["chat", "--input", "text.wav"], "text.wav: not a WAV file"),
        (["chat", "--input", "silent.wav"], "silent.wav: no sound in it"),
        (["chat", "--input", "law.wav"], "law.wav: encoding mu-law is not supported"),
        (["chat", "--input", "."], "not a file"),
        ([*GOOD, "--output", "nowhere/out.wav"], "nowhere/out.wav: can't be written"),
        ([*GOOD, "--output", "."], "can't be written"),
        ([*GOOD, "--output", "voice.wav"], "would overwrite an --input"),
        (["chat", "--text", "--transport", "nonsense"], "there is no transport 'nonsense'; installed: "),
        (["chat", "--text", "--transport", "gone"], "run `pip install duologue-gone`"),
        (["chat", "--text", "--transport", "broken"], "transport 'broken' is installed but can't be imported"),
        (["chat", *HI, "--transport", "keyless", "--output", "out.wav"], "DOUBLE_API_KEY is not set"),
        ([*GOOD, "--base-url", "ws://localhost"], "does not take these options"),
        ([*GOOD, "--tools", "json"], "give MODULE:NAME"),
        ([*GOOD, "--tools", "json:nothing"], "json has no nothing"),
        ([*GOOD, "--tools", "no_such_module:x"], "does not import (ModuleNotFoundError"),
        ([*GOOD, "--barge-in", "-1"], "--barge-in"),
        (["chat", "--nonsense"], "No such option: --nonsense"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(discovery._PACKAGES, "gone", "duologue-gone")  # one of ours that is not installed
    good = Path("voice.wav").read_bytes()
    Path("empty.wav").touch()
    Path("text.wav").write_text("This is no sound at all, however long it gets.")
    Path("silent.wav").write_bytes(good[:40] + bytes(4))
    Path("law.wav").write_bytes(good[:20] + b"\x07" + good[21:])
    assert run(arguments) == 2
    *before, line = capsys.readouterr().err.splitlines()
    assert line.startswith("duologue: ")
    assert said in line
    assert before == []
    assert not Path("out.wav").exists()
    assert Path("voice.wav").read_bytes() == good


@pytest.mark.usefixtures("doubles")
def test_a_conversation_that_fails_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "--text", "--say", "Hi", "--transport", "mortal", "--json"]) == 1
    out, err = capsys.readouterr()
    *_, error, summary = lines_of(out)
    assert error["exception"] == {"type": "RateLimited", "message": "the provider asks for patience"}
    assert summary["event"] == "summary"
    assert err.splitlines()[-1] == "duologue: the provider asks for patience"
    assert "Traceback" not in err


@pytest.mark.usefixtures("doubles")
def test_what_a_provider_library_raises_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "--text", "--say", "Hi", "--transport", "strange"]) == 1
    assert capsys.readouterr().err == "duologue: the conversation failed: a library of the provider gave up\n"


@pytest.mark.usefixtures("doubles")
def test_an_error_of_ours_is_one_line_that_says_how_to_see_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("duologue_cli.outputs.ConsoleOutput.event", broken)
    assert run(["chat", "--text", "--say", "Hi", "--transport", "typed"]) == 1
    err = capsys.readouterr().err
    assert err == "duologue: internal error, KeyError: 'oops' (set DUOLOGUE_DEBUG=1 for the traceback)\n"


@pytest.mark.usefixtures("doubles")
def test_nothing_answered_is_exit_code_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue_cli.run.SILENCE_S", 0.1)
    assert run(["chat", "--text", "--say", "Hi", "--transport", "voiced"]) == 1
    out, err = capsys.readouterr()
    assert "note   turn 1 was not answered in 0 s" in out
    assert err == "duologue: none of the 1 turns was answered\n"


@pytest.mark.usefixtures("doubles")
def test_debugging_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOLOGUE_DEBUG", "1")
    assert run(["chat", "--input", "nowhere.wav"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1] == "duologue: nowhere.wav: no such file"


# -- devices ------------------------------------------------------------------------------------------------


def test_devices_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    with using_backend(Desk()):
        assert run(["devices"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "index  in  out   rate  default  name",
        "    0   2    0  44100  in       USB microphone (ALSA)",
        "    1   0   32  48000  out      speaker (ALSA)",
        "   10   1    1  16000           headset",
    ]


def test_devices_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with using_backend(Desk()):
        assert run(["devices", "--json"]) == 0
    first, *others = lines_of(capsys.readouterr().out)
    assert first == {
        "index": 0,
        "name": "USB microphone",
        "host": "ALSA",
        "inputs": 2,
        "outputs": 0,
        "rate": 44100,
        "default_input": True,
        "default_output": False,
    }
    assert [device["index"] for device in others] == [1, 10]


def test_no_devices_are_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    backend = MemoryBackend()
    backend.unplug()
    with using_backend(backend):
        assert run(["devices"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("There is no audio device: plug one in")


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("arguments", [["devices"], ["devices", "--json"], ["chat", "--transport", "voiced"]])
def test_without_portaudio_one_line_says_what_to_install(arguments: list[str]) -> None:
    code = (
        "import ctypes.util, sys; ctypes.util.find_library = lambda name: None;"
        "from duologue_cli.command import run; sys.exit(run(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("duologue: PortAudio, which reaches the sound card, is not installed: ")


# -- a microphone -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("doubles")
def test_without_turns_the_microphone_is_opened(capsys: pytest.CaptureFixture[str]) -> None:
    backend = MemoryBackend()
    with using_backend(backend):
        assert run(["chat", "--transport", "greeting", "--json", "--output", "out.wav", "--aec", "off"]) == 0
    out, err = capsys.readouterr()
    *events, summary = lines_of(out)
    assert {"TranscriptDelta", "AudioOutputDelta", "TurnComplete"} <= {event["event"] for event in events}
    assert summary["assistant"] == ["Hello."]
    assert err.splitlines() == [
        "Audio goes to duologue.testing.scripted.ScriptedTransport (transport 'greeting').",
        "Speak; Ctrl-C ends the conversation.",
        "The session has ended.",
    ]
    assert loudest(Path("out.wav")) == (0, pytest.approx(6000, rel=0.05))
    assert np.abs(backend.played).max() == pytest.approx(6000, rel=0.05)


@pytest.mark.usefixtures("doubles")
def test_no_microphone_is_one_line_before_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    backend = MemoryBackend()
    backend.unplug()
    with using_backend(backend):
        assert run(["chat", "--transport", "keyless"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("duologue: ")
    assert "KEY" not in err


@pytest.mark.usefixtures("doubles")
def test_a_live_conversation_that_fails_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with using_backend(MemoryBackend()):
        assert run(["chat", "--transport", "leaving"]) == 1
    assert capsys.readouterr().err == "duologue: the provider asks for patience\n"


# -- help ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["chat", "--help"], ["devices", "--help"], ["--version"], []])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from duologue_cli.command import run; code = run(sys.argv[1:]);"
        "heavy = {'numpy', 'onnxruntime', 'rich', 'soxr', 'sounddevice', 'duologue_audio', 'duologue_local'};"
        "heavy &= set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "duologue" in done.stdout


def test_every_option_is_in_the_help_and_none_of_later_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "--help"]) == 0
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert options == {
        *("--transport", "--say", "--input", "--text", "--output", "--json", "--system", "--voice", "--tools"),
        *("--base-url", "--record", "--barge-in", "--device", "--aec", "--no-tui", "--help"),
    }


# -- signals ------------------------------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, "chat", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(stream: Any, part: str) -> str:
    text = ""
    for line in stream:
        text += line
        if part in line:
            return text
    raise AssertionError(f"no {part!r} in {text!r}")


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Read what is left and wait; `communicate` would lose what the line reader holds already."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(timeout=30)
    return out, err


needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")


@needs_signals
@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_conversation_in_order(voice_wav: Path, number: signal.Signals) -> None:
    with start("--transport", "endless", "--input", str(voice_wav), "--json", "--output", "out.wav") as process:
        before = read_until(process.stdout, "AudioOutputDelta")
        process.send_signal(number)
        out, err = finish(process)
    assert process.returncode == 128 + number
    assert [line[:14] for line in err.splitlines()] == ["Audio goes to "]
    summary = lines_of(before + out)[-1]
    assert (summary["event"], summary["user"]) == ("summary", ["Question 1?"])
    assert loudest(Path("out.wav"))[1] > 1000


@needs_signals
@pytest.mark.usefixtures("doubles")
def test_a_second_signal_ends_the_process_at_once(voice_wav: Path) -> None:
    with start("--transport", "stubborn", "--input", str(voice_wav), "--output", "out.wav") as process:
        read_until(process.stdout, "ready")
        process.send_signal(signal.SIGINT)
        read_until(process.stderr, "closing")
        process.send_signal(signal.SIGINT)
        finish(process)
    assert process.returncode == 130
    with wave.open("out.wav") as file:
        assert file.getnchannels() == 2


@needs_signals
@pytest.mark.usefixtures("doubles")
def test_a_signal_while_connecting_leaves_quietly(voice_wav: Path) -> None:
    with start("--transport", "slow", "--input", str(voice_wav)) as process:
        read_until(process.stderr, "connecting")
        process.send_signal(signal.SIGINT)
        _, err = finish(process)
    assert (process.returncode, err) == (130, "")


@needs_signals
@pytest.mark.usefixtures("doubles")
def test_standard_input_that_says_nothing_does_not_hold_the_exit() -> None:
    read, write = os.pipe()
    command = [*COMMAND, "chat", "--text", "--transport", "typed"]
    with subprocess.Popen(command, stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        read_until(process.stdout, "ready")
        process.send_signal(signal.SIGINT)
        _, err = finish(process)
    os.close(read)
    os.close(write)
    assert (process.returncode, err) == (130, "")


@pytest.mark.usefixtures("doubles")
def test_a_reader_that_has_had_enough_causes_no_traceback(voice_wav: Path) -> None:
    with start("--transport", "voiced", "--input", str(voice_wav), "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(timeout=30)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "Exception" not in err


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.usefixtures("doubles")
def test_a_terminal_gets_colours(voice_wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    ours, theirs = os.openpty()
    command = [*COMMAND, "chat", "--transport", "voiced", "--input", str(voice_wav)]
    with subprocess.Popen(command, stdout=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end was closed
                break
            if not piece:
                break
            shown += piece
    os.close(ours)
    assert process.returncode == 0
    assert b"\x1b[1;36myou" in shown
