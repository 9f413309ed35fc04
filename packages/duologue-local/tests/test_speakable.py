"""Written words become words that can be said, each in its place."""

from __future__ import annotations

import pytest
from duologue_local.speakable import speakable
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It is 12:45 PM.", "It is 12 45 PM."),
        ("at 10:00 sharp", "at 10 o'clock sharp"),
        ("at 10:00am", "at 10 AM"),
        ("at 9:05", "at 9 oh 5"),
        ("14:30:10", "14 30 and 10 seconds"),
        ("version 1:2:3:4", "version 1:2:3:4"),
        ("10 km/h at -5°C", "10 kilometers per hour at minus 5 degrees Celsius"),
        ("5kg or 20%", "5 kilograms or 20 percent"),
        ("call 555-1234", "call 5 5 5, 1 2 3 4"),
        ("3-5 days", "3 to 5 days"),
        ("on 2026-05-03", "on May 3, 2026"),
        ("the 1990s", "the 19 nineties"),
        ("see https://www.example.com/a.", "see example dot com slash a."),
        ("mail a.b@example.org", "mail a dot b at example dot org"),
        ("**bold** and `code`", "bold and code"),
        ("2 + 2 = 4", "2 plus 2 equals 4"),
        ("salt & pepper", "salt and pepper"),
        ("yes \N{GRINNING FACE} no", "yes no"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{EM DASH} ok", "cafe ok"),
        ("\N{CYRILLIC CAPITAL LETTER EM}\N{CYRILLIC SMALL LETTER O} hi", "hi"),
        ("it\N{RIGHT SINGLE QUOTATION MARK}s Ms. Lee", "it's Ms. Lee"),
        ("plain words, nothing else!", "plain words, nothing else!"),
    ],
)
def test_what_is_said(written: str, spoken: str) -> None:
    assert " ".join(w.spoken for w in speakable(written) if w.spoken) == spoken


@given(st.text(max_size=120))
def test_every_written_word_keeps_its_place(text: str) -> None:
    words = speakable(text)
    assert [w.written for w in words] == text.split()
    assert all(w.spoken.isascii() for w in words)
    assert all(any(c.isalnum() for c in w.spoken) for w in words if w.spoken)
