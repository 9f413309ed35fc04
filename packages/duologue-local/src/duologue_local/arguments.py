"""Arguments: finds a tool's arguments in the user's own words. Pure, but for the choice among candidates.

The small model can't be trusted to write values: it may only choose among pieces of what was said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from typing import Any

from duologue_local.quantities import in_unit, quantities

Choose = Callable[[str, list[str]], str]
"""Given a parameter's description and candidates: the one that fits best."""

LONGEST = 6
"""Words a candidate for a text may have."""
MOST = 24
"""Candidates the model is asked about."""

_STOP = frozenset(
    """
    a about all also am an and any are as at be been but by can could did do does for from get give go had has
    have he her here hers him his how i if in into is it its just know late like local look make me my no not
    now of off ok okay on or our out over please put right say set she show so some start tell than that the
    their them then there these they this those time to today too up us want was we were what what's when where
    which while who whom why will with would yes you your hey hi hello current currently moment check hour
    o'clock need search find play turn switch time's there's it's i'm let's
    """.split()  # noqa: SIM905 - a list of sixty strings reads worse
)
_NEGATIVE = re.compile(r"\b(?:off|not|don't|never|no|stop|disable|without)\b", re.IGNORECASE)


def find_arguments(schema: Mapping[str, Any], said: str, choose: Choose) -> dict[str, Any] | None:
    """Return the required arguments as found in `said`; None where one is missing."""
    properties: Mapping[str, Any] = schema.get("properties") or {}
    definitions: Mapping[str, Any] = schema.get("$defs") or {}
    numbers = quantities(said)
    found: dict[str, Any] = {}
    for name in schema.get("required") or ():
        about = _resolved(properties.get(name) or {}, definitions)
        described = f"{name.replace('_', ' ')} {about.get('description', '')}".strip()
        if "const" in about:
            found[name] = about["const"]
        elif "enum" in about:
            value = _named(about["enum"], said)
            if value is None:
                return None
            found[name] = value
        elif about.get("type") in ("integer", "number"):
            if not numbers:
                return None
            value = in_unit(numbers.pop(0), described)
            found[name] = round(value) if about["type"] == "integer" else value
        elif about.get("type") == "boolean":
            found[name] = _NEGATIVE.search(said) is None
        elif about.get("type") == "string":
            taken = {word for value in found.values() for word in str(value).lower().split()}
            candidates = candidates_in(said, taken)
            if not candidates:
                return None
            found[name] = candidates[0] if len(candidates) == 1 else choose(described, candidates[:MOST])
        else:
            return None  # lists and objects are beyond this brain
    return found


def candidates_in(said: str, taken: Set[str] = frozenset()) -> list[str]:
    """Return pieces of a sentence that may be a name or a phrase: names where there are any, else phrases.

    Words of `taken` are other arguments; so are numbers.
    """
    words = [word.strip('.,;:!?"()') for word in said.split()]
    ends = [word.rstrip("\"')").endswith((",", ".", "!", "?", ";", ":")) for word in said.split()]
    names = _runs(words, ends, lambda at: words[at][:1].isupper() and at > 0 and words[at].lower() not in _STOP)
    names = [name for name in names if name.lower() not in taken]
    if names:
        return names
    skip = _STOP | taken
    plain = _runs(words, ends, lambda at: words[at].lower() not in skip and not quantities(words[at]))
    pieces = [piece for run in plain for piece in _parts(run)]
    return list(dict.fromkeys(pieces))


def fits(schema: Mapping[str, Any], said: str) -> bool:
    """Tell quickly whether `said` could hold the required arguments at all."""
    return find_arguments(schema, said, lambda _, candidates: candidates[0]) is not None


def _runs(words: list[str], ends: list[bool], belongs: Callable[[int], bool]) -> list[str]:
    runs: list[list[str]] = []
    open_run = False
    for at, word in enumerate(words):
        if word and belongs(at):
            if open_run:
                runs[-1].append(word)
            else:
                runs.append([word])
            open_run = not ends[at]
        else:
            open_run = False
    return list(dict.fromkeys(" ".join(run) for run in runs))


def _parts(run: str) -> list[str]:
    """The whole run first, then what is left of it when words are taken from its front."""
    words = run.split()[-LONGEST:]
    return [" ".join(words[at:]) for at in range(len(words))]


def _named(values: list[Any], said: str) -> Any:
    lowered = f" {' '.join(re.findall(r'[a-z0-9]+', said.lower()))} "
    for value in sorted(values, key=lambda v: -len(str(v))):
        if f" {' '.join(re.findall(r'[a-z0-9]+', str(value).lower()))} " in lowered:
            return value
    return None


def _resolved(about: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = about.get("$ref")
    if isinstance(reference, str):
        inner = definitions.get(reference.rsplit("/", 1)[-1])
        return {**inner, **about} if isinstance(inner, Mapping) else about
    for option in about.get("anyOf") or ():
        if isinstance(option, Mapping) and option.get("type") != "null":
            return {**_resolved(option, definitions), **{k: v for k, v in about.items() if k != "anyOf"}}
    return about
