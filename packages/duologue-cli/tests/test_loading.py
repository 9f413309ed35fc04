"""What is shown while something loads."""

import re

import pytest
from duologue_cli.loading import Loading
from duologue_cli.scene import Scene


def lines(scene):
    return [entry.text for entry in scene.entries]


def test_stages_are_named_as_they_become_ready():
    scene, loading = Scene(), Loading()
    with loading.shown(scene, "Loading..."):
        loading("vad", 0.2)
        loading("extra", 0.3)
        assert scene.loading == "Loading... voice detection, extra ready,"
    assert re.fullmatch(r"Loading... ready in \d+\.\d s", *lines(scene))


def test_what_fails_is_not_called_ready():
    scene, loading = Scene(), Loading()
    with pytest.raises(ZeroDivisionError), loading.shown(scene, "Loading..."):
        raise ZeroDivisionError
    assert (lines(scene), scene.loading) == ([], "")


def test_a_stage_that_nobody_waits_for_is_shown_to_nobody():
    Loading()("vad", 0.2)
