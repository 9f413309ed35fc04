"""Arguments are found in the user's own words, or not at all."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from duologue import tool
from duologue_local.arguments import candidates_in, find_arguments


class Size(Enum):
    small = "small"
    large = "large"


@tool
async def order(dish: str, size: Size, count: int, warm: bool, note: str = "") -> str:
    """Order a dish."""
    return f"{dish} {size} {count} {warm} {note}"


def last(described: str, candidates: list[str]) -> str:
    return candidates[-1]


def test_each_required_argument_is_found_by_its_type() -> None:
    found = find_arguments(order.input_schema, "I want three large Pizza Napoli, not warm.", last)
    assert found == {"dish": "Pizza Napoli", "size": "large", "count": 3, "warm": False}
    order.arguments.check(found or {})


@pytest.mark.parametrize("said", ["A large Pizza", "Two Pizza Napoli", "two large"])
def test_a_missing_argument_means_no_call(said: str) -> None:
    schema: dict[str, Any] = {
        "properties": {"size": {"enum": ["small", "large"]}, "count": {"type": "integer"}, "dish": {"type": "string"}},
        "required": ["size", "count", "dish"],
    }
    assert find_arguments(schema, said, last) is None


def test_lists_and_objects_are_beyond_it() -> None:
    assert find_arguments({"properties": {"a": {"type": "array"}}, "required": ["a"]}, "one, two", last) is None


def test_a_tool_without_arguments_needs_none() -> None:
    assert find_arguments({"type": "object", "properties": {}}, "go", last) == {}


@pytest.mark.parametrize(
    ("said", "candidates"),
    [
        ("What time is it in Tokyo?", ["Tokyo"]),
        ("Fly from New York to San Francisco, please.", ["New York", "San Francisco"]),
        ("Tell Anna, Bob is here.", ["Anna", "Bob"]),
        ("what time is it in new york", ["new york", "york"]),
        ("What is it?", []),
    ],
)
def test_candidates_are_names_else_phrases(said: str, candidates: list[str]) -> None:
    assert candidates_in(said) == candidates


def test_the_model_only_chooses_where_there_is_a_choice() -> None:
    schema = {"properties": {"city": {"type": "string", "description": "the town"}}, "required": ["city"]}
    asked: list[tuple[str, list[str]]] = []

    def choose(described: str, candidates: list[str]) -> str:
        asked.append((described, candidates))
        return candidates[0]

    assert find_arguments(schema, "Time in Oslo?", choose) == {"city": "Oslo"}
    assert asked == []
    assert find_arguments(schema, "Is it later in Oslo or in Rome?", choose) == {"city": "Oslo"}
    assert asked == [("city the town", ["Oslo", "Rome"])]
