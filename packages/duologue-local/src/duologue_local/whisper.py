"""Whisper: speech recognition by Whisper tiny.en on CTranslate2."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from duologue_local.stages import INPUT_RATE, Recognition
from duologue_local.weights import WHISPER, find

if TYPE_CHECKING:
    from duologue_local.mel import Floats

START, NO_TIMESTAMPS = 50257, 50362
PADDING = 10 * INPUT_RATE
"""Silence behind the utterance. Whisper was trained on 30 s windows; 10 s cost a quarter and read as well."""
LONGEST = 20 * INPUT_RATE
"""Longer speech is cut at its quietest moment: window and padding stay within 30 s."""
SEARCH = 8 * INPUT_RATE
PAUSE_STEP, PAUSE_STEPS = INPUT_RATE // 50, 10
SURELY_SILENT = 0.6
"""No-speech probability above which a doubtful transcript is one of noise."""
DOUBTFUL = -0.8
HOPELESS = -1.4
"""Mean log-probability under which a transcript is invented, whatever the no-speech probability says."""


class WhisperTinyEn:
    """The model; English only."""

    def __init__(self) -> None:
        import ctranslate2

        files = find(WHISPER)
        self._model: Any = ctranslate2.models.Whisper(
            str(files["model.bin"].parent), device="cpu", compute_type="int8", intra_threads=1, inter_threads=1
        )
        self._vocabulary = files["vocabulary.txt"].read_text("utf-8").split("\n")
        self.transcribe(
            bytes(INPUT_RATE)
        )  # half a second of silence: the first call allocates, so it comes before any user

    def transcribe(self, pcm: bytes) -> Recognition:
        """Write down one utterance; noise gives an empty text."""
        import numpy as np

        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
        parts = [self._part(part) for part in split(samples) if len(part)]
        if not parts:
            return Recognition("", 1.0, 0.0)
        text = " ".join(part.text for part in parts if part.text)
        return Recognition(text, min(p.no_speech for p in parts), sum(p.score for p in parts) / len(parts))

    def _part(self, samples: Floats) -> Recognition:
        import ctranslate2

        from duologue_local.mel import log_mel

        spectrogram = ctranslate2.StorageView.from_array(log_mel(samples, PADDING)[None])
        [result] = self._model.generate(
            spectrogram,
            [[START, NO_TIMESTAMPS]],
            beam_size=1,
            # Speech has some four tokens a second: the bound (CTranslate2 writes half of it) keeps a loop short.
            max_length=2 * (8 + 6 * len(samples) // INPUT_RATE),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=False,
        )
        text = decode([self._vocabulary[number] for number in result.sequences_ids[0]])
        score = result.scores[0] if result.scores else 0.0
        if not is_speech(text, result.no_speech_prob, score):
            text = ""
        return Recognition(text, result.no_speech_prob, score)


def decode(tokens: list[str]) -> str:
    """Return the text of byte-level tokens; special ones such as `<|endoftext|>` say nothing."""
    written = "".join(token for token in tokens if not (token.startswith("<|") and token.endswith("|>")))
    return bytes(_bytes()[char] for char in written if char in _bytes()).decode(errors="replace").strip()


@functools.cache
def _bytes() -> dict[str, int]:
    """GPT-2 writes each byte as a visible character: printable ones as themselves, others from U+0100 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in shown}
    hidden = (byte for byte in range(0x100) if byte not in set(shown))
    return table | {chr(0x100 + number): byte for number, byte in enumerate(hidden)}


def is_speech(text: str, no_speech: float, score: float) -> bool:
    """Tell a transcript of speech from what Whisper makes of noise."""
    if not any(c.isalnum() for c in text):
        return False
    if text.startswith(("[", "(", "*")) and text.endswith(("]", ")", "*")):
        return False  # "[Music]", "(coughs)": a description, not words
    return score >= HOPELESS and not (no_speech > SURELY_SILENT and score < DOUBTFUL)


def split(samples: Floats) -> list[Floats]:
    """Cut long speech in the longest pause near each limit: a window of 200 ms goes over it, and the quietest wins."""
    import numpy as np

    parts: list[Floats] = []
    while len(samples) > LONGEST:
        steps = samples[LONGEST - SEARCH : LONGEST].reshape(-1, PAUSE_STEP)
        energy = np.convolve(np.square(steps).sum(axis=1), np.ones(PAUSE_STEPS), mode="valid")
        cut = LONGEST - SEARCH + (int(energy.argmin()) + PAUSE_STEPS // 2) * PAUSE_STEP
        parts.append(samples[:cut])
        samples = samples[cut:]
    return [*parts, samples]
