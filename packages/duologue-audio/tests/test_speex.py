"""The canceller of Speex: the system's library, the package of the registry, and neither."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import logging
import textwrap

import numpy as np
import pytest
from duologue.errors import MissingExtra
from duologue_audio import speex
from duologue_audio.echo import make_echo_canceller
from duologue_audio.speex import SpeexCanceller

from .rooms import db, level, pcm, run, scene


@pytest.fixture
def library():
    found = speex.system_library()
    if found is None:
        pytest.skip("libspeexdsp is not installed")
    return found


@pytest.fixture
def no_library(monkeypatch):
    """A machine where neither the linker nor the usual places know the library."""
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(speex, "LIBRARIES", ("libspeexdsp-of-no-machine.so",))
    speex.system_library.cache_clear()
    speex.say_what_is_missing.cache_clear()
    yield
    speex.system_library.cache_clear()
    speex.say_what_is_missing.cache_clear()


@pytest.fixture
def package(no_library, tmp_path, monkeypatch):
    """The package `speexdsp` as an installation leaves it, with a compiled half that records and subtracts."""
    folder = tmp_path / "speexdsp"
    folder.mkdir()
    (folder / "__init__.py").write_text("import imp  # which Python 3.12 no longer has, and 3.11 warns of\n")
    (folder / "_speexdsp.py").write_text(
        textwrap.dedent("""
            import array

            MADE, FREED = [], []

            def EchoCanceller_create(*arguments):
                MADE.append(arguments)
                return len(MADE)

            def EchoCanceller_process(state, near, far):
                pairs = zip(array.array("h", near), array.array("h", far))
                return array.array("h", (n - f for n, f in pairs)).tobytes()

            def delete_EchoCanceller(state):
                FREED.append(state)
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.audio
@pytest.mark.parametrize(("rate", "frame"), [(16000, 320), (24000, 480), (44100, 882), (48000, 960)])
@pytest.mark.usefixtures("library")
def test_a_frame_is_20_ms(rate, frame):
    assert SpeexCanceller(rate).frame == frame


@pytest.mark.audio
@pytest.mark.usefixtures("library")
def test_noise_is_no_echo_and_stays():
    noise = pcm(level(np.random.default_rng(0).standard_normal(5 * 16000), -40))
    clean = run(SpeexCanceller(16000), noise, np.zeros_like(noise))
    assert abs(db(noise[32000:], clean[32000:])) < 1.5


@pytest.mark.audio
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("trap", [{0: 0}, {20: -1, 22: -1}], ids=["without DENOISE", "without ECHO_SUPPRESS"])
def test_residual_echo_is_suppressed(monkeypatch, trap):
    heard = scene(delay_ms=120, noise_db=-51)
    near, after = heard.near, slice(4 * 16000, None)
    whole = run(SpeexCanceller(16000), near, heard.far)
    monkeypatch.setattr(speex, "SETTINGS", speex.SETTINGS | trap)
    trapped = run(SpeexCanceller(16000), near, heard.far)
    assert db(near[after], whole[after]) > db(near[after], trapped[after]) + 4


@pytest.mark.audio
@pytest.mark.parametrize(
    ("request_number", "value"),
    [(1, 1), (19, -1), (21, -60), (23, -45), (3, 0)],
    ids=["DENOISE", "NOISE", "ECHO", "ECHO_ACTIVE", "AGC"],
)
def test_the_preprocessor_has_the_settings_that_were_measured(library, request_number, value):
    canceller = SpeexCanceller(16000)
    found = ctypes.c_int32(99)
    library.speex_preprocess_ctl(canceller._engine._preprocess, request_number, ctypes.byref(found))
    assert found.value == value


@pytest.mark.audio
def test_states_are_freed_once(library, monkeypatch):
    freed = []

    class Counting:
        def __getattr__(self, name):
            function = getattr(library, name)
            if not name.endswith("_destroy"):
                return function
            return lambda state: (freed.append((name, state)), function(state))

    monkeypatch.setattr(speex, "system_library", Counting)
    canceller = SpeexCanceller(16000)
    canceller.reset()
    assert [name for name, _ in freed] == ["speex_preprocess_state_destroy", "speex_echo_state_destroy"]
    del canceller
    gc.collect()
    assert len(freed) == 4


@pytest.mark.usefixtures("no_library")
def test_with_nothing_installed_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(speex.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        make_echo_canceller("speex", 48000)
    for part in ("'speex'", "libspeexdsp1", "brew install speexdsp", "pip install 'duologue-audio[speex]'"):
        assert part in str(caught.value)


@pytest.mark.usefixtures("package")
def test_the_package_cancels_alone_and_says_so_once(caplog):
    with caplog.at_level(logging.WARNING):
        first, second = SpeexCanceller(16000), SpeexCanceller(48000)
    assert [record.getMessage()[:38] for record in caplog.records] == ["only the package speexdsp was found: e"]
    assert (first.latency_ms, first.frame, second.frame) == (0.0, 320, 960)
    near, far = np.arange(320, dtype=np.int16), np.full(320, 7, np.int16)
    clean = first.process(near, far)
    assert np.array_equal(clean, near - far)
    assert clean.flags.writeable


@pytest.mark.usefixtures("package")
def test_the_package_gets_the_same_tail_and_is_freed():
    canceller = SpeexCanceller(16000)
    binding = canceller._engine._binding
    assert binding.MADE == [(320, 6400, 16000, 1, 1)]
    canceller.reset()
    assert (len(binding.MADE), binding.FREED) == (2, [1])
    del canceller
    gc.collect()
    assert binding.FREED == [1, 2]


@pytest.mark.usefixtures("package")
def test_a_package_that_does_not_load_is_one_that_is_missing(tmp_path):
    (tmp_path / "speexdsp" / "_speexdsp.py").write_text("raise ImportError('libspeexdsp.so.1: cannot open')")
    with pytest.raises(MissingExtra, match="libspeexdsp") as caught:
        SpeexCanceller(16000)
    assert "cannot open" in str(caught.value.__cause__)


@pytest.mark.usefixtures("package")
def test_a_package_without_its_compiled_half_is_one_that_is_missing(tmp_path):
    (tmp_path / "speexdsp" / "_speexdsp.py").unlink()
    with pytest.raises(MissingExtra, match="libspeexdsp"):
        SpeexCanceller(16000)
