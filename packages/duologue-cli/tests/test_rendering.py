"""Meters and lines."""

import pytest
from duologue_cli.controls import Status
from duologue_cli.phase import Phase
from duologue_cli.rendering import counters_line, meter, microphone_remark, state_line


def bar(db, width=10):
    return meter("you", "cyan", db, width).plain[7 : 7 + width]


@pytest.mark.parametrize(
    ("db", "shown"),
    [(-96.0, "·" * 10), (-60.0, "·" * 10), (-30.0, "█████·····"), (0.0, "█" * 10), (-27.0, "█████▌····")],
)
def test_a_bar_goes_from_60_db_below_full_scale_to_full_scale(db, shown):
    assert bar(db) == shown


def test_the_level_is_told_in_figures_and_silence_in_words():
    assert "-30 dB" in meter("you", "cyan", -30.2, 10).plain
    assert "silent" in meter("you", "cyan", -96.0, 10).plain


def test_a_level_that_is_about_to_clip_is_red():
    assert "red" in str(meter("you", "cyan", -1.0, 10).spans)
    assert "red" not in str(meter("you", "cyan", -10.0, 10).spans)


def status(**changes):
    fields = {"now": 0.0, "playing": False, "microphone_db": -96.0, "speaker_db": -96.0, "counters": {}}
    fields |= {"muted": False, "push_to_talk": False, "talking": False}
    return Status(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({}, ""),
        ({"muted": True, "push_to_talk": True, "talking": True}, "muted"),
        ({"push_to_talk": True}, "push to talk"),
        ({"push_to_talk": True, "talking": True}, "on air"),
    ],
)
def test_what_the_microphone_is_used_for(changes, remark):
    assert microphone_remark(status(**changes)) == remark


def test_only_what_happened_is_counted():
    assert counters_line({"chunks dropped": 0}).plain == ""
    assert counters_line({"chunks dropped": 3, "restarts": 1}).plain == " chunks dropped: 3, restarts: 1"


def test_the_state_says_who_has_the_floor_and_for_how_long_it_goes_on():
    assert state_line(Phase.thinking, "local", 125.9).plain.split() == ["◆", "thinking", "local", "02:05"]
