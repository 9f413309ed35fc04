"""Routing: decides whether what the user said is a request to one of the tools.

The small model can't choose from a list, but it can tell how likely a tool's description is as the continuation of
`"WHAT WAS SAID" is a request to`. That likelihood is put on a scale between what small talk gives (0) and what
the description itself gives when it is said (1), so that one threshold serves every tool.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from duologue_local.arguments import find_arguments, fits
from duologue_local.notes import read_note, write_note
from duologue_local.stages import ToolCall, ToolSpec

if TYPE_CHECKING:
    from collections.abc import Callable

THRESHOLD = 0.18
"""Measured: see the decision on tools. Requests lie above, other talk below."""
MOST_WORDS = 14
"""Words of a description that are looked at: each costs time at every turn it is looked at."""

SMALL_TALK = ("Hello there!", "Paris is a beautiful city.", "It took about ten days.", "Do you like music?")
"""Nothing of it is a request; the likeliest marks the lower end of a tool's scale."""
_FILLER = frozenset(
    """
    a about all an and any are as at be by can could do does for from get give given go has have how i if in
    into is it its make me my now number of on or please say set she show so some such tell than that the their
    them then there these they this to up use user was we what when where which who will with would you your
    """.split()  # noqa: SIM905 - a list of sixty strings reads worse
)
_FOLLOW_UP = re.compile(r"^\s*(?:and|or|now|what about|how about|and what about)\b", re.IGNORECASE)
_FOLLOW_UP_WORDS = 6


class Model(Protocol):
    """What routing asks of the model."""

    def tokens(self, prompt: str, text: str) -> tuple[list[int], float]:
        """Return the tokens of `text` after `prompt`, and their mean log-probability."""
        ...

    def probability(self, prompt: str, tokens: list[int]) -> float:
        """Return the mean log-probability of tokens after `prompt`."""
        ...

    def choose(self, prompt: str, options: list[str]) -> str:
        """Return the option that is written after `prompt`."""
        ...


@dataclass(frozen=True, slots=True)
class _Scale:
    tokens: list[int]
    small_talk: float
    itself: float

    def place(self, likelihood: float) -> float:
        return (likelihood - self.small_talk) / max(0.1, self.itself - self.small_talk)


class Router:
    """Finds the tool call in what was said.

    Scales are measured when a tool is first seen, which takes a second, and noted under `identity` (the model's).
    """

    def __init__(self, model: Model, identity: str) -> None:
        self._model = model
        self._identity = identity
        self._scales: dict[str, _Scale] = {}

    def prepare(self, tools: tuple[ToolSpec, ...]) -> None:
        """Measure the scales of tools before the user has to wait for it."""
        for tool in tools:
            self._scale(tool)

    def route(self, said: str, tools: tuple[ToolSpec, ...], last: str = "") -> ToolCall | None:
        """Return the call that `said` asks for; `last` names the tool of the turn before."""
        if _FOLLOW_UP.match(said) and len(said.split()) <= _FOLLOW_UP_WORDS:
            tools_before = [tool for tool in tools if tool.name == last]
            if tools_before and fits(tools_before[0].schema, said):
                return self._call(tools_before[0], said)
        best: tuple[float, ToolSpec] | None = None
        for tool in tools:
            if not possible(tool, said):
                continue
            score = self.score(said, tool)
            if score >= THRESHOLD and (best is None or score > best[0]):
                best = (score, tool)
        return None if best is None else self._call(best[1], said)

    def score(self, said: str, tool: ToolSpec) -> float:
        """Place what was said on the tool's scale."""
        scale = self._scale(tool)
        return scale.place(self._model.probability(_prompt(said), scale.tokens))

    def _call(self, tool: ToolSpec, said: str) -> ToolCall | None:
        def choose(described: str, candidates: list[str]) -> str:
            return self._model.choose(_choice_prompt(described, said), candidates)

        arguments = find_arguments(tool.schema, said, choose)
        return None if arguments is None else ToolCall(tool.name, arguments)

    def _scale(self, tool: ToolSpec) -> _Scale:
        task = described(tool)
        scale = self._scales.get(task)
        if scale is None:
            key = "\n".join((self._identity, _prompt("?"), *SMALL_TALK, task))
            scale = self._scales[task] = _from_note(read_note("routing", key)) or self._measured(task)
            write_note("routing", key, {"tokens": scale.tokens, "talk": scale.small_talk, "itself": scale.itself})
        return scale

    def _measured(self, task: str) -> _Scale:
        tokens, itself = self._model.tokens(_prompt(task), f" {task[0].lower()}{task[1:]}")
        talk = max(self._model.probability(_prompt(said), tokens) for said in SMALL_TALK)
        return _Scale(tokens, talk, itself)


def _from_note(note: dict[str, Any] | None) -> _Scale | None:
    match note:
        case {"tokens": list(tokens), "talk": float(talk), "itself": float(itself)}:
            return _Scale([int(token) for token in tokens], talk, itself)
        case _:
            return None


def described(tool: ToolSpec) -> str:
    """Return what a tool does in one short sentence: its description's first, else its name."""
    sentence = re.split(r"(?<=[.!?])\s", tool.description.strip(), maxsplit=1)[0].rstrip(".!? ")
    plain = unicodedata.normalize("NFKD", sentence).encode("ascii", "ignore").decode()
    if not any(c.isalpha() for c in plain):
        plain = tool.name.replace("_", " ").replace("-", " ")
    return " ".join(plain.split()[:MOST_WORDS]) + "."


def possible(tool: ToolSpec, said: str) -> bool:
    """Tell quickly whether asking the model is worth the time.

    The sentence must be able to hold the arguments, and share a word with what is known of the tool or hold a value
    (a number, a name) that the tool takes.
    """
    if not fits(tool.schema, said):
        return False
    known = _stems(f"{tool.name.replace('_', ' ')} {tool.description} {_about(tool)}")
    if not known:
        return True
    required = [tool.schema.get("properties", {}).get(name, {}) for name in tool.schema.get("required") or ()]
    holds = {
        "integer": re.compile(r"\d").search,
        "number": re.compile(r"\d").search,
        "string": re.compile(r"\s[A-Z]\w").search,
    }
    takes: list[Callable[[str], object]] = [holds[p["type"]] for p in required if p.get("type") in holds]
    return bool(known & _stems(said)) or any(take(said) for take in takes)


def _about(tool: ToolSpec) -> str:
    properties = tool.schema.get("properties") or {}
    return " ".join(f"{name.replace('_', ' ')} {p.get('description', '')}" for name, p in properties.items())


def _stems(text: str) -> set[str]:
    words = (w for w in re.findall(r"[a-z]{3,}", text.lower()) if w not in _FILLER)
    return {word.removesuffix("s")[:7] for word in words}


def _prompt(said: str) -> str:
    return f'"{said.strip()}" is a request to'


def _choice_prompt(described_as: str, said: str) -> str:
    return (
        'Sentence: "Show me pictures of Vienna from last year."\nthe place to show: Vienna\n\n'
        'Sentence: "could you order a large pizza with extra cheese"\nwhat to order: large pizza with extra cheese\n\n'
        f'Sentence: "{said.strip()}"\n{described_as}: '
    )
