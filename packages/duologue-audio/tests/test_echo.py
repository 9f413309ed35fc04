"""What every canceller does, in simulated rooms; and how one is found by name."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from duologue.errors import ConfigurationError, MissingExtra, UnsupportedFormat
from duologue_audio import speex
from duologue_audio.bypass import Bypass
from duologue_audio.canceller import RATES
from duologue_audio.echo import best_echo_canceller, make_echo_canceller
from duologue_audio.webrtc import WebRTCCanceller

from .rooms import Scene, db, kept, likeness, run, scene

NAMES = ["webrtc", pytest.param("speex", marks=pytest.mark.audio)]
ERLE = {"webrtc": 35.0, "speex": 14.0}  # dB after some seconds; measured: 44 to 54, and 19 to 33


@pytest.fixture(params=NAMES)
def name(request):
    if request.param == "speex" and speex.system_library() is None:
        pytest.skip("libspeexdsp is not installed")
    return request.param


def seconds(of: Scene, signal: np.ndarray, start: float, stop: float | None = None) -> np.ndarray:
    return signal[int(start * of.rate) : None if stop is None else int(stop * of.rate)]


@pytest.mark.parametrize("rate", RATES)
def test_echo_alone_is_removed_at_every_rate(name, rate):
    heard = scene(rate)
    canceller = make_echo_canceller(name, rate)
    clean = run(canceller, heard.near, heard.far)
    assert (clean.dtype, canceller.rate) == (np.int16, rate)
    assert db(seconds(heard, heard.near, 5), seconds(heard, clean, 5)) > ERLE[name]


@pytest.mark.parametrize("delay_ms", [20, 60, 150, 300])
def test_the_delay_of_the_echo_is_found_and_bridged(name, delay_ms):
    heard = scene(seconds=10, delay_ms=delay_ms)
    canceller = make_echo_canceller(name, 16000)
    clean = run(canceller, heard.near, heard.far)
    assert canceller.delay_ms == pytest.approx(delay_ms, abs=2)
    assert db(seconds(heard, heard.near, 7), seconds(heard, clean, 7)) > ERLE[name]


def test_a_quicker_room_and_noise_leave_most_of_it(name):
    heard = scene(rt60=0.15, noise_db=-60)
    clean = run(make_echo_canceller(name, 16000), heard.near, heard.far)
    assert db(seconds(heard, heard.near, 5), seconds(heard, clean, 5)) > ERLE[name] - 8


@pytest.mark.parametrize("user_db", [-20, -26, -32])
def test_double_talk_keeps_the_user(name, user_db):
    heard = scene(seconds=10, user_db=user_db, user_from=5)
    clean = run(make_echo_canceller(name, 16000), heard.near, heard.far)
    user, left = seconds(heard, heard.user, 5), seconds(heard, clean, 5)
    if name == "speex":  # keeps the voice whole
        assert kept(user, left, heard.rate) > -3
        assert likeness(user, left, heard.rate) > 0.85
    else:  # is known to take a part of it away
        assert kept(user, left, heard.rate) > -13
        assert likeness(user, left, heard.rate) > 0.5


def test_a_user_alone_passes(name):
    heard = scene(seconds=4, echo_db=-200, user_db=-26)
    clean = run(make_echo_canceller(name, 16000), heard.near, np.zeros_like(heard.near))
    assert abs(kept(heard.user, clean, heard.rate)) < 2
    assert likeness(heard.user, clean, heard.rate) > 0.85


def test_with_headphones_the_user_is_let_through_after_some_seconds(name):
    heard = scene(seconds=16, echo_db=-200, user_db=-26)
    canceller = make_echo_canceller(name, 16000)
    clean = run(canceller, heard.near, heard.far)
    assert canceller.delay_ms is None
    assert canceller.erle_db < 3
    assert kept(seconds(heard, heard.user, 8), seconds(heard, clean, 8), heard.rate) > -5


@pytest.mark.parametrize("rate", RATES)
def test_latency_is_what_is_said(name, rate):
    heard = scene(rate, 3, echo_db=-200, user_db=-26)
    canceller = make_echo_canceller(name, rate)
    clean = run(canceller, heard.near, np.zeros_like(heard.near)).astype(float)
    near, size = heard.near[: len(clean)].astype(float), 2 * len(clean)
    correlation = np.fft.irfft(np.fft.rfft(clean, size) * np.conj(np.fft.rfft(near, size)), size)
    assert int(np.argmax(correlation)) / rate * 1000 == pytest.approx(canceller.latency_ms, abs=0.5)


def test_silence_stays_silence(name):
    silence = np.zeros(32000, np.int16)
    canceller = make_echo_canceller(name, 16000)
    assert not run(canceller, silence, silence).any()
    assert (canceller.erle_db, canceller.delay_ms) == (0, None)


def test_a_far_end_that_no_microphone_hears_makes_no_noise(name):
    heard = scene(seconds=4)
    clean = run(make_echo_canceller(name, 16000), np.zeros_like(heard.far), heard.far)
    assert np.sqrt(np.mean(clean.astype(float) ** 2)) < 30  # -61 dBFS


def test_a_clipping_microphone_is_survived(name, capfd):
    heard = scene(echo_db=-3)
    assert np.mean(np.abs(heard.near.astype(int)) >= 32767) > 0.05
    clean = run(make_echo_canceller(name, 16000), heard.near, heard.far)
    capfd.readouterr()  # libspeexdsp has something to say about it
    assert db(heard.near, clean) > -0.5  # not louder than it came, as wrapped samples would be


def test_arguments_are_not_changed_and_results_are_not_shared(name):
    heard = scene(seconds=0.5)
    canceller = make_echo_canceller(name, 16000)
    near, far = heard.near.copy(), heard.far.copy()
    near.flags.writeable = far.flags.writeable = False  # as arrays over bytes are
    first = canceller.process(near[: canceller.frame], far[: canceller.frame])
    before = first.copy()
    run(canceller, near, far)
    assert np.array_equal(first, before)
    assert first.flags.writeable


def test_samples_with_gaps_between_them_are_taken(name):
    heard = scene(seconds=1)
    both = np.stack((heard.near, heard.far), axis=1)
    apart = run(make_echo_canceller(name, 16000), both[:, 0], both[:, 1])
    assert np.array_equal(apart, run(make_echo_canceller(name, 16000), heard.near, heard.far))


def test_reset_makes_it_as_new(name):
    heard, other = scene(seconds=3), scene(seconds=3, delay_ms=120, seed=5)
    canceller = make_echo_canceller(name, 16000)
    run(canceller, other.near, other.far)
    assert canceller.erle_db > 3
    assert canceller.delay_ms is not None
    canceller.reset()
    assert (canceller.erle_db, canceller.delay_ms) == (0, None)
    fresh = run(make_echo_canceller(name, 16000), heard.near, heard.far)
    assert np.array_equal(run(canceller, heard.near, heard.far), fresh)


def test_what_was_learned_outlives_a_gap(name):
    heard = scene(seconds=12)
    canceller, lost = make_echo_canceller(name, 16000), 320
    run(canceller, heard.near[: 8 * 16000], heard.far[: 8 * 16000])
    canceller.skip(lost // canceller.frame)
    assert canceller.delay_ms == pytest.approx(40, abs=2)
    near, far = heard.near[8 * 16000 + lost :], heard.far[8 * 16000 + lost :]
    clean = run(canceller, near, far)
    assert db(near[16000:], clean[16000:]) > ERLE[name]


def test_erle_is_what_an_onlooker_measures(name):
    heard = scene(seconds=8)
    canceller = make_echo_canceller(name, 16000)
    clean = run(canceller, heard.near, heard.far)
    assert canceller.erle_db == pytest.approx(db(seconds(heard, heard.near, 7), seconds(heard, clean, 7)), abs=4)


@pytest.mark.parametrize("side", ["near", "far"])
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(160, np.float32), "an array of float32: give a numpy array of int16"),
        (bytes(320), "bytes: give a numpy array of int16"),
        (np.zeros(161, np.int16), r"shape \(161,\): a frame has 160 samples, mono \(10 ms at 16000 Hz\)"),
        (np.zeros((160, 1), np.int16), r"shape \(160, 1\): a frame has 160 samples"),
    ],
)
def test_other_frames_are_refused(side, samples, message):
    frames = {"near": np.zeros(160, np.int16), "far": np.zeros(160, np.int16)} | {side: samples}
    with pytest.raises(UnsupportedFormat, match=f"the {side} end of the echo canceller 'webrtc' got .*{message}"):
        WebRTCCanceller(16000).process(**frames)


def test_a_negative_gap_is_refused():
    with pytest.raises(ConfigurationError, match="-1 frames"):
        WebRTCCanceller(16000).skip(-1)


@pytest.mark.parametrize("rate", [0, 22050, 12345, 16000.5])
def test_other_rates_are_refused(rate):
    with pytest.raises(ConfigurationError, match=f"'webrtc' does not run at {rate} Hz: use one of 8000, 16000"):
        make_echo_canceller("webrtc", rate)


def test_names_that_are_not_there_are_refused():
    with pytest.raises(ConfigurationError, match="'hybrid' is not part of this version: use 'webrtc' or 'speex'"):
        make_echo_canceller("hybrid", 16000)
    with pytest.raises(ConfigurationError, match=r"no echo canceller 'aec9000': installed are .*speex.*webrtc"):
        make_echo_canceller("aec9000", 16000)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of someone else, with a canceller of their own."""
    (tmp_path / "theirs.py").write_text("class Theirs:\n    def __init__(self, rate): self.rate = rate\n")
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[duologue.echo]\ntheirs = theirs:Theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_cancellers_of_others_are_found():
    assert (type(make_echo_canceller("theirs", 8000)).__name__, make_echo_canceller("theirs", 8000).rate) == (
        "Theirs",
        8000,
    )


def without(monkeypatch, *names: str) -> None:
    """Make cancellers as unusable as they are where their library is not installed."""
    if "webrtc" in names:
        monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    if "speex" in names:
        monkeypatch.setattr(speex, "system_library", lambda: None)
        monkeypatch.setattr(speex, "package", lambda: (_ for _ in ()).throw(speex.missing()))


def test_webrtc_is_the_best_and_steps_aside_where_there_is_no_echo(name):
    best = best_echo_canceller(16000)
    assert isinstance(best, Bypass)
    assert isinstance(best.canceller, WebRTCCanceller)


def test_the_next_best_is_taken_where_the_best_is_missing(name, monkeypatch):
    without(monkeypatch, *({"webrtc"} if name == "speex" else {"speex"}))
    found = best_echo_canceller(16000)
    assert isinstance(found, Bypass)
    assert type(found.canceller).__name__ == {"webrtc": "WebRTCCanceller", "speex": "SpeexCanceller"}[name]


def test_nothing_is_found_where_nothing_is(monkeypatch):
    without(monkeypatch, "webrtc", "speex")
    assert best_echo_canceller(16000) is None


@pytest.mark.usefixtures("installed")
def test_what_others_installed_comes_after_ours(monkeypatch):
    without(monkeypatch, "webrtc", "speex")
    assert type(best_echo_canceller(16000)).__name__ == "Theirs"


def test_no_canceller_fits_a_strange_rate():
    assert best_echo_canceller(12345) is None


def test_without_its_package_webrtc_says_what_to_install(monkeypatch):
    without(monkeypatch, "webrtc")
    with pytest.raises(MissingExtra, match="'webrtc' needs the package pywebrtc-audio: run `pip install"):
        make_echo_canceller("webrtc", 16000)
