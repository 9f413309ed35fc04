"""What is told in front of a turn is read back, and nothing else is taken for it."""

import pytest
from duologue.types import CallRecord, Message
from duologue_distiller.told import BEFORE, NOW, tell, untell
from hypothesis import given
from hypothesis import strategies as st

MESSAGES = st.builds(Message, st.sampled_from(["user", "assistant"]), st.text(min_size=1))


@given(st.lists(MESSAGES), st.text().filter(lambda text: not text.startswith(BEFORE)))
def test_what_is_told_is_read_back(said, text):
    assert untell(tell(said, text)) == (said, text)


@given(st.lists(st.sampled_from([BEFORE, NOW, "", '{"user": "x"}', '{"user": 1}', "[]", "{", '{"a": "x"}'])))
def test_what_only_looks_like_it_stays_whole(lines):
    text = "\n".join(lines)
    said, now = untell(text)
    assert (said and tell(said, now) == text) or (said, now) == ([], text)


def test_calls_are_told_and_silence_is_not():
    call = CallRecord("1", "clock", {"zone": "UTC"}, "noon")
    told = tell([Message("user", ""), Message("assistant", "", calls=(call,))], "And now?")
    assert untell(told) == ([Message("assistant", '[called clock({"zone": "UTC"}): noon]')], "And now?")
    assert tell([Message("user", "")], "And now?") == "And now?"


@pytest.mark.parametrize("text", [BEFORE, f"{BEFORE}\n{NOW}\nx", f'{BEFORE}\n{{"user": "x"}}\nx', "[" * 100_000])
def test_half_of_it_is_a_turn(text):
    assert untell(text) == ([], text)
