"""Write the tables of models and options into `docs/reference/gemini.md`, from the data of duologue-google.

A test compares them, so that the page says what the code does. Run it as `just google-tables`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from duologue_google import MODELS, LiveOptions, ModelTraits
from duologue_google.plan import make_plan

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "gemini.md"
BEGIN = "<!-- written by scripts/google_tables.py -->"
END = "<!-- end of what scripts/google_tables.py writes -->"

TRAITS = {
    "where": "served by",
    "history": "told of the past by",
    "text": "typed text goes as",
    "thinking": "thinking",
    "tools": "tools",
    "scheduling": "late results are scheduled",
    "gates_input": "deaf while a blocking call is open",
    "stop": "a reply is stopped by",
    "context_update": "system prompt and tools can change",
    "affective": "affective dialogue",
    "proactive": "proactive audio",
}


def words(name: str, traits: ModelTraits) -> str:
    """Say a trait in a cell."""
    if name == "tools":
        kinds = [kind for kind, has in _kinds(traits) if has]
        default = "blocking" if traits.default_blocking else "non-blocking"
        return " or ".join(kinds) + (f", {default} unless told" if len(kinds) > 1 else "")
    if name == "stop":
        return "`clientContent`" if traits.text == "content" else "nothing; the rest is not passed on"
    value: Any = getattr(traits, name)
    told = {
        ("history", "first"): "the first `clientContent`",
        ("history", "content"): "`clientContent`",
        ("text", "content"): "`clientContent`",
        ("text", "realtime"): "`realtimeInput.text`",
        ("thinking", "none"): "no",
        ("thinking", "any"): "a budget or a level",
        ("thinking", "budget"): "a budget",
        ("thinking", "level"): "a level",
        ("thinking", "required"): "required: a budget or a level",
        ("proactive", "option"): "an option",
    }
    if isinstance(value, bool):
        return "yes" if value else "no"
    return told.get((name, value), str(value))


def _kinds(traits: ModelTraits) -> list[tuple[str, bool]]:
    return [("blocking", traits.blocking_tools), ("non-blocking", traits.nonblocking_tools)]


def models_table() -> str:
    """Return a column for each family, a row for each trait."""
    heads = [f"`{traits.family}...`" if traits.family else "any other" for traits in MODELS]
    lines = [f"| | {' | '.join(heads)} |", "| --- " * (len(MODELS) + 1) + "|"]
    for name, title in TRAITS.items():
        lines.append(f"| {title} | {' | '.join(words(name, traits) for traits in MODELS)} |")
    return "\n".join(lines)


def options_table() -> str:
    """Return a row for each option."""
    lines = ["| Option | Default | What it does | Models | Place in the setup |", "| --- " * 5 + "|"]
    for field in dataclasses.fields(LiveOptions):
        about = field.metadata
        wire = f"`{about['wire']}`" if about["wire"] else "anywhere"
        lines.append(f"| `{field.name}` | `{field.default!r}` | {about['text']} | {about['only']} | {wire} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with both tables written anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    made = "\n\n".join((BEGIN, "## Models", models_table(), "## Options", options_table(), END))
    return head + made + tail


def check() -> None:
    """Make a plan for each family, so that a table which can't be carried out is no table."""
    for traits in MODELS:
        make_plan(model=traits.family or "other", resource="models/x", options=LiveOptions(), traits=traits)


if __name__ == "__main__":
    check()
    PAGE.write_text(page(PAGE.read_text()))
