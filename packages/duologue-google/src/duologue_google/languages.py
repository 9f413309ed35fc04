"""Languages and voices of the Live API."""

from __future__ import annotations

import locale
import logging
import os

log = logging.getLogger(__name__)

SUPPORTED_LIVE_LANGUAGES: frozenset[str] = frozenset(
    (
        "ar-XA",
        "bn-IN",
        "cmn-CN",
        "de-DE",
        "en-AU",
        "en-GB",
        "en-IN",
        "en-US",
        "es-ES",
        "es-US",
        "fr-CA",
        "fr-FR",
        "gu-IN",
        "hi-IN",
        "id-ID",
        "it-IT",
        "ja-JP",
        "kn-IN",
        "ko-KR",
        "ml-IN",
        "mr-IN",
        "nl-NL",
        "pl-PL",
        "pt-BR",
        "ru-RU",
        "ta-IN",
        "te-IN",
        "th-TH",
        "tr-TR",
        "vi-VN",
    )
)
"""Codes that are known to work; newer models understand more, so others are sent too, with a warning."""

VOICES: frozenset[str] = frozenset(
    (
        "Zephyr",
        "Puck",
        "Charon",
        "Kore",
        "Fenrir",
        "Leda",
        "Orus",
        "Aoede",
        "Callirrhoe",
        "Autonoe",
        "Enceladus",
        "Iapetus",
        "Umbriel",
        "Algieba",
        "Despina",
        "Erinome",
        "Algenib",
        "Rasalgethi",
        "Laomedeia",
        "Achernar",
        "Alnilam",
        "Schedar",
        "Gacrux",
        "Pulcherrima",
        "Achird",
        "Zubenelgenubi",
        "Vindemiatrix",
        "Sadachbia",
        "Sadaltager",
        "Sulafat",
    )
)
"""The voices Google offers; Puck is the default."""

_MAIN = {"ar": "ar-XA", "en": "en-US", "es": "es-ES", "fr": "fr-FR", "zh": "cmn-CN", "pt": "pt-BR"}
"""Where a language has several codes, or another name: the one for a region that has none."""


def check_language(code: str) -> str:
    """Return a language code, with a warning where it is not known to work."""
    if code not in SUPPORTED_LIVE_LANGUAGES:
        log.warning("language %r is not among those known to work with Gemini Live; it is sent all the same", code)
    return code


def check_voice(name: str) -> str:
    """Return a voice's name as Google writes it, with a warning where there is none of that name."""
    for voice in VOICES:
        if voice.lower() == name.lower():
            return voice
    log.warning("Gemini has no voice %r as far as we know: it may close the session at once", name)
    return name


def detect_system_language() -> str | None:
    """Return the Live language code nearest to this system's language; None where there is none.

    Looks at LC_ALL, LC_MESSAGES, LANGUAGE and LANG, then at the system's own setting.
    """
    found = next(
        (os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "LANG") if os.environ.get(name)), ""
    )
    if not found:
        found = locale.getlocale()[0] or ""
    return match_language(found)


def match_language(name: str) -> str | None:
    """Return the Live code for a locale's name such as "de_AT.UTF-8" or "fr-CA"; None where there is none."""
    tag = name.split(":")[0].split(".")[0].split("@")[0].replace("_", "-")
    language, _, region = tag.partition("-")
    language, region = language.lower(), region.rpartition("-")[2].upper()
    exact = f"{'cmn' if language == 'zh' else language}-{region}"
    if exact in SUPPORTED_LIVE_LANGUAGES:
        return exact
    if language in _MAIN:
        return _MAIN[language]
    return next((code for code in sorted(SUPPORTED_LIVE_LANGUAGES) if code.partition("-")[0] == language), None)
