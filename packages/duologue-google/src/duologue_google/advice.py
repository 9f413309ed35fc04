"""Advice: what Google means by a close, and which option of the user's it is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError, ConnectionLost, DuologueError, RateLimited, ResumeFailed

from duologue_google.languages import SUPPORTED_LIVE_LANGUAGES, VOICES
from duologue_google.receiver import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

INVALID = 1007
REFUSED = 1008
INTERNAL = 1011
NORMAL = 1000

NO_MODEL = "model_not_found"
"""The code of the error that says that a place does not serve the model; the next one may."""

_SAID: tuple[tuple[str, str, str], ...] = (
    (
        r"api key not valid|api_key_invalid|api key expired|unregistered callers|unauthenticated|authentication",
        "",
        "the key or token was not accepted: check GEMINI_API_KEY (or GOOGLE_API_KEY), or sign in to Google Cloud anew",
    ),
    (
        r"ephemeral|auth_?token",
        "",
        (
            "the ephemeral token was not accepted: it opens sessions for a minute after it was made, and no more than "
            "its `uses` say; give an async function as api_key that makes one for each connection"
        ),
    ),
    (
        r"permission|not have access to|forbidden",
        "",
        "the project may not use this: enable the API, and check the project and the roles of the account",
    ),
    (
        r"publisher model|is not found|not supported for bidigeneratecontent|model.{0,80}not found|models/",
        NO_MODEL,
        "the model is not served here: compare `await transport.list_models()`, and on Vertex AI try another location",
    ),
    (r"thinking", "", "leave out `thinking`, or give what the model takes (a level or a budget)"),
    (
        r"scheduling",
        "",
        "the model takes no scheduling of results: pass traits=replace(traits_of(model), scheduling=False)",
    ),
    (r"proactiv", "", "leave out `proactive_audio`: the model always or never does it"),
    (r"affective", "", "leave out `affective_dialog`, or use a model of the 2.5 family with api_version='v1alpha'"),
    (r"voice", "", f"take another voice, one of {', '.join(sorted(VOICES))}"),
    (r"language", "", f"take another language_code, such as {', '.join(sorted(SUPPORTED_LIVE_LANGUAGES)[:6])}"),
    (r"modalit", "", "the model does not answer in this modality: most Live models only speak (modality='AUDIO')"),
    (r"transparent", "", "transparent resumption exists on Vertex AI only: leave out `transparent`"),
    (
        r"function ?declaration|parameters|schema|\btools?\b",
        "",
        "look at the tools: names of letters, digits and _ . : -, simple parameters; no model takes every tool",
    ),
    (r"context ?window|compression|trigger_?tokens", "", "leave out `compress_context`, or give it other numbers"),
    (r"media_?chunks", "", "leave out `media_chunks`: the model takes `audio` and `video` only"),
    (r"safety", "", "look at the categories and thresholds in `safety_settings`"),
)
"""What a reason holds, the code of the error, and what to do."""

_QUOTA = re.compile(r"quota|resource.?exhausted|rate.?limit|too many", re.IGNORECASE)
_SESSION = re.compile(r"session (?:\w+ )?not found|resumption|handle", re.IGNORECASE)
_BUSY = re.compile(r"not implemented, or supported, or enabled", re.IGNORECASE)

_OPTIONS = (
    ("generationConfig.thinkingConfig", "thinking"),
    ("generationConfig.enableAffectiveDialog", "affective_dialog"),
    ("generationConfig.mediaResolution", "media_resolution"),
    ("generationConfig.translationConfig", "translate_to"),
    ("generationConfig.speechConfig.languageCode", "language_code"),
    ("generationConfig.speechConfig.voiceConfig", "voice"),
    ("proactivity", "proactive_audio"),
    ("historyConfig", "history"),
    ("contextWindowCompression", "compress_context"),
    ("realtimeInputConfig", "turn_detection"),
    ("safetySettings", "safety_settings"),
    ("explicitVadSignal", "explicit_vad"),
    ("labels", "labels"),
    ("tools", "tools"),
)
"""Where an option stands in a setup, the likeliest to be refused first."""


def explain(
    code: int, reason: str, *, setup: Mapping[str, Any], started: bool, resuming: bool, resumable: bool, going: bool
) -> DuologueError | None:
    """Return what a close means; None leaves it to the general rules.

    Args:
        code: the close code.
        reason: what Google wrote beside it.
        setup: what the session was asked for.
        started: the session was open.
        resuming: it was to take up an older one.
        resumable: a handle would take it up again.
        going: Google had said that the connection ends, or says so with any close.
    """
    said = f"Gemini closed the session ({code}{': ' + reason if reason else ''})"
    if _QUOTA.search(reason):
        return RateLimited(f"{said}: the quota is used up; wait, or ask for more", provider=PROVIDER, code=str(code))
    if code == NORMAL:
        if not started or not (reason or going):
            return None
        return ConnectionLost(f"{said}: the connection's time was over", provider=PROVIDER, code=str(code))
    if code not in (INVALID, REFUSED):
        return None
    if resuming and not started:
        return ResumeFailed(f"{said}: the session can't be taken up again", provider=PROVIDER, code=str(code))
    if started and _BUSY.search(reason):
        said += "; some models take no input while they wait for a tool: set blocking=False, or traits with gates_input"
        return ConnectionLost(said, provider=PROVIDER, code=str(code))
    if started and (code == REFUSED or resumable):
        return ConnectionLost(said, provider=PROVIDER, code=str(code))
    if _SESSION.search(reason):
        return ResumeFailed(f"{said}: the session can't be taken up again", provider=PROVIDER, code=str(code))
    own_code, advice = _advice(reason, setup)
    return ConfigurationError(f"{said}: {advice}", retryable=False, provider=PROVIDER, code=own_code or str(code))


def _advice(reason: str, setup: Mapping[str, Any]) -> tuple[str, str]:
    for pattern, own_code, advice in _SAID:
        if re.search(pattern, reason, re.IGNORECASE):
            return own_code, advice
    given = [name for path, name in _OPTIONS if _has(setup, path)]
    model = str(setup.get("model", "")).rpartition("/")[2]
    if not given:
        return "", f"the model {model} refused the setup or what was sent; compare `await transport.list_models()`"
    return "", f"the model {model} refused something; leave out one after the other: {', '.join(given)}"


def _has(setup: Mapping[str, Any], path: str) -> bool:
    node: Any = setup
    for key in path.split("."):
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True
