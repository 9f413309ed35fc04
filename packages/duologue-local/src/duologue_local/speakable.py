"""Speakable: turns written English into words that can be said, word by word.

The grapheme-to-phoneme library reads plain words and numbers well, but drops clock times in silence,
garbles addresses and invents sounds for other scripts. What it can't read is spelled out here; each
written word keeps its place, so that the times of speech can be told in words of the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word as written (with its punctuation) and as said; `spoken` is "" for what has no sound."""

    written: str
    spoken: str


_UNITS = {
    "km": "kilometers",
    "km/h": "kilometers per hour",
    "kmh": "kilometers per hour",
    "mph": "miles per hour",
    "m/s": "meters per second",
    "cm": "centimeters",
    "mm": "millimeters",
    "kg": "kilograms",
    "mg": "milligrams",
    "lb": "pounds",
    "lbs": "pounds",
    "ml": "milliliters",
    "ms": "milliseconds",
    "kb": "kilobytes",
    "mb": "megabytes",
    "gb": "gigabytes",
    "tb": "terabytes",
    "khz": "kilohertz",
    "ghz": "gigahertz",
    "hz": "hertz",
    "kwh": "kilowatt hours",
    "°c": "degrees Celsius",
    "°f": "degrees Fahrenheit",
    "°": "degrees",
    "%": "percent",
}
_SIGNS = {
    "=": "equals",
    "+": "plus",
    "\u00d7": "times",
    "÷": "divided by",
    "<": "less than",
    ">": "more than",
    "&": "and",
}
_DECADES = {
    "00": "hundreds",
    "10": "tens",
    "20": "twenties",
    "30": "thirties",
    "40": "forties",
    "50": "fifties",
    "60": "sixties",
    "70": "seventies",
    "80": "eighties",
    "90": "nineties",
}
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_CLOCK = re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])\s*([ap]\.?m\.?)?", re.IGNORECASE)
_UNIT = re.compile(
    rf"(?<![\w.])([-\u2212]?)({_NUMBER})\s?("
    + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    + r")(?!\w)",
    re.IGNORECASE,
)
_MINUS = re.compile(rf"(?<![\w.])[-\u2212](?={_NUMBER})")
_RANGE = re.compile(rf"(?<![\w.-])({_NUMBER})[-\u2013](?={_NUMBER}(?![\d-]))")
_PHONE = re.compile(r"(?<![\w.])\+?\d{2,}(?:-\d{2,})+(?!\w)")
_DATE = re.compile(r"(?<!\d)(\d{4})-(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])(?!\d)")
_DECADE = re.compile(r"(?<!\d)(1\d|20)(\d0)s\b")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`#~|{}\[\]<>\\^]+")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def speakable(text: str) -> list[SpokenWord]:
    """Return the words of `text` with what is to be said for each."""
    return [SpokenWord(word, _say(word)) for word in text.split()]


def _say(word: str) -> str:
    if word.strip(".,;:!?") in _SIGNS:
        return _SIGNS[word.strip(".,;:!?")]
    said = word
    if _ADDRESS.search(said):
        said = _ADDRESS.sub(_address, said)
    said = _DATE.sub(_date, said)
    said = _CLOCK.sub(_clock, said)
    said = _PHONE.sub(_digits, said)
    said = _UNIT.sub(_unit, said)
    said = _MINUS.sub("minus ", said)
    said = _RANGE.sub(r"\1 to ", said)
    said = _DECADE.sub(lambda m: f"{m[1]} {_DECADES[m[2]]}", said)
    bare = said.strip(".,;:!?()\"'")
    if bare.lower() in _UNITS and len(bare) > 1 and bare not in ("ms", "Ms"):
        said = said.replace(bare, _UNITS[bare.lower()])
    said = said.replace("—", ", ").replace("\u2013", " ").replace("…", ".").replace("№", "number ")
    for sign in "=+\u00d7÷&":
        said = said.replace(sign, f" {_SIGNS[sign]} ")
    said = _MARKUP.sub(" ", said)
    said = " ".join(_latin(said).split())
    return said if any(c.isalnum() for c in said) else ""  # punctuation on its own has no sound


def _latin(text: str) -> str:
    """Keep what an English voice can read: accents go, other scripts and pictures go."""
    plain = text.replace("\u2018", "'").replace("\u2019", "'").replace("“", '"').replace("”", '"')
    kept = []
    for char in unicodedata.normalize("NFKD", plain):
        if char.isascii():
            kept.append(char)
        elif not unicodedata.combining(char):
            kept.append(" ")
    return "".join(kept)


def _clock(match: re.Match[str]) -> str:
    hour, minute, second, half = match.groups()
    said = str(int(hour))
    if minute != "00":
        said += f" {minute}" if minute[0] != "0" else f" oh {minute[1]}"
    elif not half:
        said += " o'clock"
    if second and second != "00":
        said += f" and {int(second)} seconds"
    if half:
        said += " " + half.replace(".", "").upper()
    return said


def _unit(match: re.Match[str]) -> str:
    sign, number, unit = match.groups()
    return f"{'minus ' if sign else ''}{number} {_UNITS[unit.lower()]}"


def _digits(match: re.Match[str]) -> str:
    groups = match[0].lstrip("+").split("-")
    return ", ".join(" ".join(group) for group in groups)


def _date(match: re.Match[str]) -> str:
    year, month, day = match.groups()
    return f"{_MONTHS[int(month) - 1]} {int(day)}, {year}"


def _address(match: re.Match[str]) -> str:
    bare = re.sub(r"^https?://(?:www\.)?|^www\.", "", match[0], flags=re.IGNORECASE)
    tail = bare[len(bare.rstrip(".,;:!?)/")) :].replace("/", "").replace(")", "")
    bare = bare.rstrip(".,;:!?)/")
    for sign, name in ((".", "dot"), ("/", "slash"), ("@", "at"), ("-", "dash"), ("_", "underscore")):
        bare = bare.replace(sign, f" {name} ")
    return " ".join(re.sub(r"[^\w\s]", " ", bare).split()) + tail
