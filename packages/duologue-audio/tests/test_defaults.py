"""What the system's default devices are, asked of systems that are not here."""

import ctypes
import sys

import pytest
from duologue_audio.defaults import PREFERRED_GET, WaveCapabilities, current_defaults


class Winmm:
    """Windows' wave functions as far as they are called, in Python."""

    def __init__(self, **preferred: str | None) -> None:
        self.preferred = preferred
        self.fails = 0
        for direction in ("In", "Out"):
            setattr(self, f"wave{direction}Message", self.function(self.message, direction))
            setattr(self, f"wave{direction}GetDevCapsW", self.function(self.describe, direction))

    @staticmethod
    def function(does, direction):
        def called(*arguments):
            return does(direction, *arguments)

        return called

    def message(self, direction, device, message, number, flags):
        assert (device.value, message) == (0xFFFFFFFF, PREFERRED_GET)
        ctypes.c_uint32.from_address(flags).value = 0
        ctypes.c_uint32.from_address(number).value = 0xFFFFFFFF if self.preferred[direction] is None else 3
        return self.fails

    def describe(self, direction, number, where, size):
        if number != 3:
            return 2  # MMSYSERR_BADDEVICEID
        assert size == ctypes.sizeof(WaveCapabilities)
        WaveCapabilities.from_address(where).name = self.preferred[direction]
        return 0


@pytest.fixture
def winmm(monkeypatch):
    library = Winmm(In="Headset", Out="Speakers")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", {"winmm": library}.__getitem__, raising=False)
    return library


def test_windows_names_its_default_devices(winmm):
    before = current_defaults()
    assert before == ("In: Headset", "Out: Speakers")
    winmm.preferred["Out"] = "Television"
    assert current_defaults() == ("In: Headset", "Out: Television")


def test_on_windows_a_direction_without_a_device_is_known_too(winmm):
    winmm.preferred["In"] = None
    assert current_defaults() == ("In: ", "Out: Speakers")


def test_a_windows_that_does_not_answer_has_no_known_defaults(winmm):
    winmm.fails = 11
    assert current_defaults() is None


def test_pulseaudio_and_pipewire_are_asked_by_pactl(monkeypatch, tmp_path):
    pactl = tmp_path / "pactl"
    pactl.write_text("#!/bin/sh\necho 'Server Name: x'\necho 'Default Sink: spk'\necho 'Default Source: mic'\n")
    pactl.chmod(0o755)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert current_defaults() == ("Default Sink: spk", "Default Source: mic")
    pactl.write_text("#!/bin/sh\nexit 1\n")
    assert current_defaults() is None
    pactl.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert current_defaults() is None


def test_a_system_nobody_knows_has_none(monkeypatch):
    monkeypatch.setattr(sys, "platform", "plan9")
    assert current_defaults() is None
