"""The user's voice: what `--say` is spoken with."""

from __future__ import annotations

import asyncio
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError, MissingExtra

from duologue_cli.wav import Sound

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP, NAME = "duologue.tts", "piper"


async def speak(texts: Sequence[str]) -> list[Sound]:
    """Synthesise each text by the local voice, so that real speech goes through real recognition.

    Raises:
        MissingExtra: the voice isn't installed.
        ConfigurationError: a text has no words that can be spoken.
    """
    if not texts:
        return []
    return await asyncio.to_thread(_speak, texts)


def _speak(texts: Sequence[str]) -> list[Sound]:
    found = entry_points(group=GROUP, name=NAME)
    if not found:
        raise MissingExtra("duologue-local", needed_for="--say")
    try:
        stage: Any = next(iter(found)).load()()
    except ImportError as exc:
        raise MissingExtra(exc.name or "duologue-local", needed_for="--say") from exc
    sounds = []
    for text in texts:
        speech = stage.synthesize(text, stage.voices[0])
        if not speech.pcm:
            raise ConfigurationError(f"--say {text!r}: there is nothing in it to speak")
        sounds.append(Sound.from_pcm16(speech.pcm, speech.rate))
    return sounds
