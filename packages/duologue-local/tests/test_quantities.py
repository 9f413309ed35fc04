"""Numbers in speech."""

from __future__ import annotations

import pytest
from duologue_local.quantities import Quantity, in_unit, quantities
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("Set a timer for five minutes.", [(5, 60)]),
        ("a twenty-five minute timer", [(25, 60)]),
        ("half an hour", [(0.5, 3600)]),
        ("an hour and a half", [(1.5, 3600)]),
        ("a quarter of an hour", [(0.25, 3600)]),
        ("one hundred and five degrees", [(105, None)]),
        ("two hundred", [(200, None)]),
        ("1,500 apples and 2.5 pears", [(1500, None), (2.5, None)]),
        ("90 seconds", [(90, 1)]),
        ("a song", []),
        ("no numbers here", []),
        ("half the cake", []),
    ],
)
def test_what_is_found(said: str, values: list[tuple[float, float | None]]) -> None:
    assert [(q.value, q.seconds) for q in quantities(said)] == values


@pytest.mark.parametrize(
    ("quantity", "described", "value"),
    [
        (Quantity(0.5, 3600), "how many minutes", 30),
        (Quantity(90, 1), "minutes", 1.5),
        (Quantity(5, 60), "duration in seconds", 300),
        (Quantity(5, None), "minutes", 5),
        (Quantity(5, 60), "how many", 5),
    ],
)
def test_it_is_brought_to_the_unit_asked_for(quantity: Quantity, described: str, value: float) -> None:
    assert in_unit(quantity, described) == value


@given(st.integers(0, 10**6))
def test_digits_are_read_as_they_are(number: int) -> None:
    assert [q.value for q in quantities(f"about {number} of them")] == [number]


@given(st.text(max_size=80))
def test_no_text_is_too_strange(text: str) -> None:
    quantities(text)
