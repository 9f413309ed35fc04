"""Clauses: cuts a model's text into pieces to be spoken, the first one early. Pure."""

from __future__ import annotations

import re

FIRST_CHARS = 12
"""The first clause may end at a comma from this length on: the user waits for it."""
FIRST_WORDS = 8
"""... and ends anyway after so many words."""
LATER_CHARS = 60
"""Later clauses may end at a comma from this length on: they are made while others are spoken."""
LATER_WORDS = 24

_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s)|\n+")
_BREATH = re.compile(r"[,;:—][\"')\]]*(?=\s)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|No|Jr|Sr)|\b[A-Za-z]|\b[ap]\.m|\be\.g|\bi\.e)\.$", re.IGNORECASE
)


class ClauseSplitter:
    """Takes text as it is written; gives clauses. Joined together they are the text, white space aside."""

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Take the next piece; return the clauses that are complete."""
        self._text += text
        clauses = []
        while (cut := self._cut()) is not None:
            clause, self._text = self._text[:cut].strip(), self._text[cut:].lstrip()
            if clause:
                clauses.append(clause)
                self._first = False
        return clauses

    def flush(self) -> list[str]:
        """Return what is left."""
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []

    def _cut(self) -> int | None:
        for match in _SENTENCE_END.finditer(self._text):
            if match[0].startswith("\n") or not self._abbreviated(match.end()):
                return self._at_most(match.end())
        shortest, most_words = (FIRST_CHARS, FIRST_WORDS) if self._first else (LATER_CHARS, LATER_WORDS)
        for match in _BREATH.finditer(self._text):
            if match.end() >= shortest:
                return self._at_most(match.end())
        return self._limit(most_words)

    def _at_most(self, cut: int) -> int:
        """The same cut, or an earlier one where the clause would be too long."""
        limit = self._limit(FIRST_WORDS if self._first else LATER_WORDS)
        return cut if limit is None else min(cut, limit)

    def _limit(self, words: int) -> int | None:
        found = list(re.finditer(r"\S+(?=\s+\S)", self._text))
        return found[words - 1].end() if len(found) >= words else None

    def _abbreviated(self, end: int) -> bool:
        return _ABBREVIATION.search(self._text[:end]) is not None
