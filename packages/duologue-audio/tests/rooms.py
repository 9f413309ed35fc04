"""Simulated rooms: what a microphone hears of a loudspeaker and of a user, made of numpy alone.

Rooms are boxes by the image-source method; voices are pulse trains through moving formants, in syllables and pauses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Signal = "NDArray[np.float64]"

SIZE = np.array([5.2, 4.1, 2.7])  # metres
DEVICE = np.array([2.1, 1.6, 0.9])
MICROPHONE = np.array([2.2, 1.65, 0.95])
USER = np.array([2.5, 2.0, 1.2])
SOUND = 343.0  # metres a second


def impulse_response(rate: int, source: NDArray[np.float64] = DEVICE, rt60: float = 0.3) -> NDArray[np.float64]:
    """What the microphone hears of a click at `source`, with the direct sound of strength 1 at time 0."""
    area = 2 * (SIZE[0] * SIZE[1] + SIZE[1] * SIZE[2] + SIZE[0] * SIZE[2])
    absorbed = 1 - np.exp(-0.161 * SIZE.prod() / (area * rt60))  # Eyring
    reflected = np.sqrt(1 - absorbed)
    orders = [np.arange(-n, n + 1) for n in np.ceil(rt60 * SOUND / SIZE).astype(int)]
    mirror = np.stack(np.meshgrid(*orders, indexing="ij"), axis=-1).reshape(-1, 3)
    image = mirror * SIZE + np.where(mirror % 2 == 0, source, SIZE - source)
    distance = np.linalg.norm(image - MICROPHONE, axis=1)
    direct = np.linalg.norm(source - MICROPHONE)
    place = np.rint((distance - direct) / SOUND * rate).astype(int)
    strength = reflected ** np.abs(mirror).sum(axis=1) * direct / distance
    response = np.zeros(int(rt60 * rate))
    inside = (place >= 0) & (place < len(response))
    np.add.at(response, place[inside], strength[inside])
    return response


def voice(rate: int, seconds: float, *, pitch: float = 120.0, seed: int = 0) -> NDArray[np.float64]:
    """Something like speech: voiced and hissed syllables, four a second, pauses between phrases."""
    chance = np.random.default_rng(seed)
    samples = int(rate * seconds)
    out = np.zeros(samples + rate)
    at = 0
    while at < samples:
        length = int(rate * chance.uniform(0.14, 0.3))
        frequency = np.fft.rfftfreq(length, 1 / rate)
        if chance.random() < 0.25:
            spectrum = np.fft.rfft(chance.standard_normal(length))
            spectrum *= np.exp(-(((frequency - chance.uniform(3000, 5000)) / 1500) ** 2))
        else:
            speed = pitch * chance.uniform(0.85, 1.2) * (1 + 0.1 * np.linspace(1, -1, length))
            pulses = np.diff(np.floor(np.cumsum(speed) / rate), prepend=0.0) + 0.01 * chance.standard_normal(length)
            formants = [chance.uniform(*span) for span in ((300, 800), (900, 2200), (2300, 3000), (3200, 3900))]
            shape = sum(1 / (1 + ((frequency - f) / (60 + 0.04 * f)) ** 2) / (n + 1) for n, f in enumerate(formants))
            spectrum = np.fft.rfft(pulses) * shape
        syllable = np.fft.irfft(spectrum, length) * np.hanning(length) ** 0.5
        out[at : at + length] += syllable / (np.sqrt(np.mean(syllable**2)) + 1e-9) * chance.uniform(0.5, 1)
        at += int(length * 0.95) + (int(rate * chance.uniform(0.2, 0.5)) if chance.random() < 0.12 else 0)
    return level(out[:samples], -26.0)


def level(signal: NDArray[np.float64], dbfs: float) -> NDArray[np.float64]:
    """The same at another RMS; full scale is 32768."""
    return signal / np.sqrt(np.mean(signal**2)) * 32768 * 10 ** (dbfs / 20)


def pcm(signal: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)


@dataclass(frozen=True)
class Scene:
    """A conversation as the device hears it: `near` is echo, user and noise."""

    rate: int
    near: NDArray[np.int16]
    far: NDArray[np.int16]
    user: NDArray[np.float64]
    echo: NDArray[np.float64]


def scene(
    rate: int = 16000,
    seconds: float = 8.0,
    *,
    delay_ms: float = 40.0,
    rt60: float = 0.3,
    echo_db: float = -26.0,
    user_db: float | None = None,
    user_from: float = 0.0,
    noise_db: float = -75.0,
    drive: float = 0.0,
    seed: int = 1,
) -> Scene:
    """Build a scene: the agent speaks all the time, the user from `user_from` on when `user_db` is given.

    drive: how hard the loudspeaker clips, as in tanh(drive · x).
    """
    samples = int(rate * seconds)
    far = voice(rate, seconds, seed=seed)
    played = far if not drive else np.tanh(drive * far / 32768 * 8) * 32768
    late = np.concatenate((np.zeros(int(rate * delay_ms / 1000)), played))[:samples]
    echo = level(convolve(late, impulse_response(rate, rt60=rt60)), echo_db) if echo_db > -120 else np.zeros(samples)
    user = np.zeros(samples)
    if user_db is not None:
        spoken = convolve(voice(rate, seconds, pitch=210.0, seed=seed + 100), impulse_response(rate, USER, rt60))
        user = level(spoken, user_db)
        user[: int(user_from * rate)] = 0
    noise = level(np.random.default_rng(seed + 200).standard_normal(samples), noise_db)
    return Scene(rate, pcm(echo + user + noise), pcm(far), user, echo)


def convolve(signal: NDArray[np.float64], response: NDArray[np.float64]) -> NDArray[np.float64]:
    size = 1 << int(np.ceil(np.log2(len(signal) + len(response))))
    return np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(response, size), size)[: len(signal)]


def run(canceller, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
    """Put whole frames through a canceller."""
    size = canceller.frame
    pieces = [
        canceller.process(near[at : at + size], far[at : at + size]) for at in range(0, len(near) - size + 1, size)
    ]
    return np.concatenate(pieces)


def db(before: NDArray, after: NDArray) -> float:
    """How much quieter `after` is; both are cut to the shorter length."""
    length = min(len(before), len(after))
    first, second = (np.mean(np.square(x[:length].astype(np.float64))) for x in (before, after))
    return float(10 * np.log10((first + 1e-3) / (second + 1e-3)))


def likeness(voice: NDArray[np.float64], heard: NDArray[np.int16], rate: int, reach_ms: float = 60.0) -> float:
    """Correlation of `heard` with `voice`, 0 to 1, at the best delay of 0 to `reach_ms`."""
    length = min(len(voice), len(heard))
    a, b = voice[:length], heard[:length].astype(np.float64)
    size = 1 << int(np.ceil(np.log2(2 * length)))
    found = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)[: int(rate * reach_ms / 1000)]
    return float(found.max() / np.sqrt(np.sum(a**2) * np.sum(b**2)))


def kept(voice: NDArray[np.float64], heard: NDArray[np.int16], rate: int, reach_ms: float = 60.0) -> float:
    """How many dB of `voice` are in `heard`: 0 when all of it is, less when part was taken away."""
    length = min(len(voice), len(heard))
    a, b = voice[:length], heard[:length].astype(np.float64)
    size = 1 << int(np.ceil(np.log2(2 * length)))
    found = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)[: int(rate * reach_ms / 1000)]
    return float(20 * np.log10(max(found.max() / np.sum(a**2), 1e-9)))
