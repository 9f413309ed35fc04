"""Quantities: finds numbers in what somebody said, written in digits or in words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS: dict[str, int] = {word: value for value, word in enumerate(_SMALL)} | {
    word: 10 * (place + 2) for place, word in enumerate(_TENS)
}
_SECONDS = {"second": 1.0, "sec": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0, "day": 86400.0}
_TOKEN = re.compile(r"\d+(?:[.,]\d+)?|[a-z]+")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, and the unit of time after it in seconds (None where there is none)."""

    value: float
    seconds: float | None = None


def quantities(text: str) -> list[Quantity]:
    """Return the numbers of a text in their order; "half an hour" and "an hour" count when a unit of time follows."""
    tokens = _TOKEN.findall(text.lower().replace("-", " "))
    found: list[Quantity] = []
    at = 0
    while at < len(tokens):
        value, used = _number(tokens, at)
        if used == 0:
            at += 1
            continue
        at += used
        seconds = _unit(tokens, at)
        if seconds is None and tokens[at - 1] in ("a", "an", "half"):
            continue  # "a song" is no quantity
        if seconds is not None:
            at += 1
            if tokens[at : at + 3] in (["and", "a", "half"], ["and", "one", "half"]):
                value += 0.5
                at += 3
        found.append(Quantity(value, seconds))
    return found


def in_unit(quantity: Quantity, described: str) -> float:
    """Return the number in the unit of time that a parameter's description asks for, if both name one."""
    wanted = next((s for s in map(_unit_of, _TOKEN.findall(described.lower())) if s is not None), None)
    if wanted is None or quantity.seconds is None:
        return quantity.value
    return quantity.value * quantity.seconds / wanted


def _number(tokens: list[str], at: int) -> tuple[float, int]:
    """Read a number; return it and how many tokens it took, 0 for none."""
    word = tokens[at]
    if word[0].isdigit():
        if re.fullmatch(r"\d{1,3},\d{3}", word):
            return float(word.replace(",", "")), 1
        return float(word.replace(",", ".")), 1
    if word == "half" and tokens[at + 1 : at + 2] in (["a"], ["an"]):
        return 0.5, 2
    if word == "quarter" and tokens[at + 1 : at + 3] in (["of", "a"], ["of", "an"]):
        return 0.25, 3
    if word in ("a", "an"):
        return 1.0, 1
    if word not in _WORDS:
        return 0.0, 0
    total, used = float(_WORDS[word]), 1
    if total >= 20 and _WORDS.get(_at(tokens, at + used), 99) < 10:
        total, used = total + _WORDS[tokens[at + used]], used + 1
    if _at(tokens, at + used) == "hundred":
        total, used = total * 100, used + 1
        skip = 1 if _at(tokens, at + used) == "and" else 0
        if _at(tokens, at + used + skip) in _WORDS:
            rest, more = _number(tokens, at + used + skip)
            total, used = total + rest, used + skip + more
    return total, used


def _unit(tokens: list[str], at: int) -> float | None:
    return _unit_of(_at(tokens, at))


def _unit_of(word: str) -> float | None:
    return _SECONDS.get(word.removesuffix("s"))


def _at(tokens: list[str], at: int) -> str:
    return tokens[at] if at < len(tokens) else ""
