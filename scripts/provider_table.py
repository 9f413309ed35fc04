"""Write `docs/reference/providers.md`: what each provider can do, from the capability data in the code.

A test compares, so that the page is never out of date. Run it as `just providers`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import duologue_google
from duologue import Capabilities
from duologue.voice.config import RealtimeConfig, VADMode
from duologue.voice.profiles import GEMINI, GEMINI_VOICES, LOCAL, OPENAI, OPENAI_VOICES, VERTEX, say
from duologue.wire import Opening
from duologue_distiller import DistillerCodec, Place
from duologue_google import GeminiCodec, LiveOptions
from duologue_google.plan import make_plan
from duologue_local.session import CAPABILITIES as LOCAL_CAPABILITIES
from duologue_openai import OpenAICodec
from duologue_openai.plan import SessionPlan as OpenAIPlan

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "providers.md"

TITLES = {"openai": "`openai`", "gemini": "`gemini`, `vertex`", "distiller": "`distiller`", "local": "`local`"}
MEANING = {
    "input_rates": "takes PCM16 at, in Hz",
    "output_rate": "speaks PCM16 at, in Hz",
    "server_vad": "finds the user's turns itself",
    "manual_turns": "`commit()` ends a turn of audio",
    "has_turns": "replies end with `TurnComplete`",
    "paced_output": "speech comes in real time",
    "text_input": "takes text",
    "image_input": "takes pictures",
    "transcripts": "reports what was said",
    "tools": "calls tools",
    "nonblocking_tools": "goes on talking while a tool runs",
    "result_scheduling": "decides itself when a late result is spoken",
    "truncation": "forgets what was not heard (`truncate()`)",
    "playback_notices": "wants to know what plays",
    "session_update": "prompt, tools and turn detection can change",
    "resumption": "takes up a lost session",
    "overlap_reconnect": "two connections of a session may overlap",
    "max_session_s": "longest connection, in seconds",
}


def capabilities() -> dict[str, Capabilities]:
    """The capabilities of each provider's sessions with default settings."""
    model = duologue_google.STABLE_MODEL
    gemini = make_plan(model=model, resource=f"models/{model}", options=LiveOptions())
    return {
        "openai": OpenAICodec(OpenAIPlan()).capabilities,
        "gemini": GeminiCodec(gemini, Opening()).capabilities,
        "distiller": DistillerCodec(Opening(), Place()).capabilities,
        "local": LOCAL_CAPABILITIES,
    }


def shown(value: Any) -> str:
    """A value in a cell."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def can_do() -> str:
    """What sessions can do."""
    known = capabilities()
    fields = [field.name for field in dataclasses.fields(Capabilities)]
    rows = [[MEANING[f], f"`{f}`", *(shown(getattr(found, f)) for found in known.values())] for f in fields]
    return table(["A session", "`Capabilities.`", *(TITLES[name] for name in known)], rows)


def settings() -> str:
    """Where the settings of the façade arrive."""
    changed: dict[str, Any] = {
        "model": None,
        "voice": "alloy",
        "instructions": "x",
        "vad_mode": VADMode.MANUAL,
        "vad_threshold": 0.7,
        "vad_prefix_padding_ms": 100,
        "vad_silence_duration_ms": 900,
        "temperature": 0.3,
        "max_tokens": 100,
        "tools": [],
        "sample_rate": None,
    }
    detection = {"vad_threshold": "threshold", "vad_prefix_padding_ms": "prefix_ms"}
    detection["vad_silence_duration_ms"] = "silence_ms"
    rows = []
    for name, value in changed.items():
        cells = []
        for profile in (OPENAI, GEMINI, VERTEX, LOCAL):
            if name == "model":
                cells.append("yes" if profile.family else "left out")
            elif name == "voice":
                cells.append("yes" if profile.voices else "its own")
            elif name in detection:
                cells.append(f"`TurnDetection.{detection[name]}`" if name in profile.detects else "left out")
            elif name in ("temperature", "max_tokens"):
                told = say(RealtimeConfig(**{name: value}, voice="alloy"), profile).options
                key = profile.options.get(name)
                cells.append(f"`{key}`" if key in told else "left out")
            else:
                cells.append("yes")
        rows.append([f"`{name}`", *cells])
    return table(["`RealtimeConfig.`", "`openai`", "`gemini`", "`vertex`", "`local`"], rows)


def voices() -> str:
    """The voices that are documented with a character, and what each becomes elsewhere."""
    rows = []
    for name, character in {**OPENAI_VOICES, **GEMINI_VOICES}.items():
        if character:
            config = RealtimeConfig(voice=name)
            rows.append([f"`{name}`", character, *(f"`{say(config, p).voice}`" for p in (OPENAI, GEMINI))])
    return table(["Voice", "Character", "at `openai`", "at `gemini`"], rows)


def page() -> str:
    """The whole page."""
    return f"""# Providers

This page is written by `scripts/provider_table.py` from the data in the code. The capabilities are those of a session
with default settings; `agent.session.capabilities` tells those of yours.

## What a session can do

{can_do()}

What a Gemini session can do depends on its model; the column is for `{duologue_google.STABLE_MODEL}`.

## Where the settings of `RealtimeConfig` arrive

What a provider has no field for is left out with a warning that names it; `strict=True` raises instead.

{settings()}

## Voices

{voices()}

OpenAI also has {", ".join(f"`{name}`" for name, character in OPENAI_VOICES.items() if not character)}; Gemini has
{len(GEMINI_VOICES)} voices in all. A voice that nobody knows is an error.
"""


if __name__ == "__main__":
    import logging

    logging.disable(logging.WARNING)
    PAGE.write_text(page(), encoding="utf-8")
