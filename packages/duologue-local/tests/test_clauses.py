"""Clauses are cut early, whole, and lose nothing."""

from __future__ import annotations

import pytest
from duologue_local.clauses import ClauseSplitter
from hypothesis import given
from hypothesis import strategies as st


def split(text: str, size: int = 1) -> list[str]:
    splitter = ClauseSplitter()
    clauses = [c for at in range(0, len(text), size) for c in splitter.feed(text[at : at + size])]
    return clauses + splitter.flush()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("Well, yes.", ["Well, yes."]),
        ("The capital of France, you know, is Paris.", ["The capital of France,", "you know, is Paris."]),
        ("Dr. Smith lives in St. Ives. He is 3.5 feet tall.", ["Dr. Smith lives in St. Ives.", "He is 3.5 feet tall."]),
        ("It is 5 p.m. in Rome.", ["It is 5 p.m. in Rome."]),
        ("One two three four five six seven eight nine ten.", ["One two three four five six seven eight", "nine ten."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("", []),
        ("   \n ", []),
    ],
)
def test_where_it_cuts(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses


def test_the_first_clause_comes_before_the_sentence_is_over() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("On the other hand, ") == ["On the other hand,"]
    assert splitter.feed("a second comma, ") == []


@given(st.text(alphabet="ab .,!?\n'\"DrMs1", max_size=300), st.integers(1, 20))
def test_nothing_is_lost_and_nothing_empty_is_said(text: str, size: int) -> None:
    clauses = split(text, size)
    assert " ".join(clauses).split() == text.split()
    assert all(clause.strip() == clause != "" for clause in clauses)


@given(st.lists(st.sampled_from(["word", "longer", "x,", "end."]), min_size=1, max_size=80))
def test_no_clause_is_longer_than_its_limit(words: list[str]) -> None:
    first, *rest = split(" ".join(words))
    assert len(first.split()) <= 8
    assert all(len(clause.split()) <= 24 for clause in rest)
