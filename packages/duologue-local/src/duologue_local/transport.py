"""LocalTransport: opens sessions of the offline pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError
from duologue.formats import parse_format
from duologue.transport import TurnDetection

from duologue_local.barge_in import BargeIn
from duologue_local.stages import ASR, INPUT_RATE, LLM, TTS, VAD, Kind, ToolSpec
from duologue_local.turns import TurnSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duologue.tool import Tool
    from duologue.types import Message

    from duologue_local.pool import Spec
    from duologue_local.session import LocalSession

MAX_TOKENS = 120
DEFAULTS = TurnSettings()


class LocalTransport:
    """Speech to speech on this machine: no key, no network.

    Each stage is a name found by entry point, run in a worker process of its own, or an object with the
    stage's methods, run on a thread. All sessions of the process share the workers; they end with the last one.

    Args:
        vad: voice activity detection.
        asr: speech recognition.
        llm: language model.
        tts: speech synthesis.
        barge_in: when the user's speech cuts a reply.
        end_silence_ms: silence that ends the user's turn.
        max_sessions: sessions this process may have at once.
        on_progress: told each stage's name and the seconds it took, when it has loaded.
        debug_prompt: report each prompt as `ProviderEvent("local", "prompt", ...)`.
    """

    def __init__(
        self,
        *,
        vad: str | VAD = "silero",
        asr: str | ASR = "whisper-tiny.en",
        llm: str | LLM = "smollm2",
        tts: str | TTS = "piper",
        barge_in: BargeIn = BargeIn(),  # noqa: B008 - frozen
        end_silence_ms: int = 320,
        max_sessions: int = 4,
        on_progress: Callable[[str, float], None] | None = None,
        debug_prompt: bool = False,
    ) -> None:
        if end_silence_ms < 1 or max_sessions < 1:
            raise ConfigurationError("LocalTransport: end_silence_ms and max_sessions must be positive")
        self._specs: dict[Kind, Spec] = {"vad": vad, "asr": asr, "llm": llm, "tts": tts}
        self._barge_in = barge_in
        self._end_silence_ms = end_silence_ms
        self._max_sessions = max_sessions
        self._on_progress = on_progress
        self._debug_prompt = debug_prompt

    async def connect(
        self,
        *,
        system: str,
        tools: list[Tool],
        voice: str | None = None,
        input_audio_format: str = "audio/pcm;rate=16000",
        output_audio_format: str = "audio/pcm;rate=24000",
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
    ) -> LocalSession:
        """Open a session; the first one loads the models, which takes some two seconds.

        `options` may hold `temperature` (0.0), `max_tokens` (120) and `seed` (0).
        Speech comes at 24 kHz; `output_audio_format` is the agent's affair, which converts.

        Raises:
            ConfigurationError: an argument is wrong, a package is missing, or a weight file is not the right one.
            ConnectFailed: a worker did not start, or the process has too many sessions.
        """
        from duologue_local.pool import POOL  # what a session needs loads with the first one
        from duologue_local.session import LocalSession, Setup

        detection = turn_detection or TurnDetection()
        chosen = _options(options or {})
        specs = tuple(ToolSpec(tool.name, tool.description, tool.input_schema) for tool in tools)
        stages = POOL.lease(self._specs, self._max_sessions)
        loading: list[tuple[str, float]] = []

        def progress(stage: str, seconds: float) -> None:
            loading.append((stage, seconds))
            if self._on_progress is not None:
                self._on_progress(stage, seconds)

        try:
            await stages.ready(progress)
            voices = [str(name) for name in stages.description("tts").get("voices", ())]  # type: ignore[attr-defined]
            setup = Setup(
                system=system,
                tools=specs,
                voice=_voice(voice, voices),
                model=self._specs["llm"] if isinstance(self._specs["llm"], str) else type(self._specs["llm"]).__name__,
                input_rate=parse_format(input_audio_format).rate or INPUT_RATE,
                turn_detection=detection,
                settings=self._settings(detection),
                history=history,
                max_tokens=chosen["max_tokens"],
                temperature=chosen["temperature"],
                seed=chosen["seed"],
                debug_prompt=self._debug_prompt or chosen["debug_prompt"],
                loading=tuple(loading),
            )
            session = LocalSession(stages, setup)
        except BaseException:
            await stages.release()
            raise
        try:
            await session.prepare()
        except BaseException:
            await session.close()
            raise
        return session

    def _settings(self, detection: TurnDetection) -> TurnSettings:
        threshold = DEFAULTS.threshold if detection.threshold is None else detection.threshold
        if not 0.0 < threshold < 1.0:
            raise ConfigurationError(f"TurnDetection(threshold={threshold}): the threshold is between 0 and 1")
        silence = self._end_silence_ms if detection.silence_ms is None else detection.silence_ms
        return TurnSettings(
            threshold=threshold,
            release=max(0.01, threshold - (DEFAULTS.threshold - DEFAULTS.release)),
            prefix_ms=DEFAULTS.prefix_ms if detection.prefix_ms is None else detection.prefix_ms,
            end_silence_ms=silence,
            speculate_ms=min(DEFAULTS.speculate_ms, silence),
            interrupts=detection.interrupt,
            barge_in=self._barge_in,
        )


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {"temperature": 0.0, "max_tokens": MAX_TOKENS, "seed": 0, "debug_prompt": False}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigurationError(f"the local transport has no option {', '.join(unknown)}; it has: {', '.join(known)}")
    chosen = known | dict(given)
    if not 1 <= int(chosen["max_tokens"]) <= 1024:
        raise ConfigurationError(f"max_tokens is {chosen['max_tokens']}: it must be 1 to 1024")
    if float(chosen["temperature"]) < 0:
        raise ConfigurationError(f"temperature is {chosen['temperature']}: it can't be negative")
    return chosen


def _voice(wanted: str | None, voices: list[str]) -> str:
    if wanted is None:
        return voices[0] if voices else ""
    if wanted not in voices:
        raise ConfigurationError(f"there is no voice {wanted!r}; there is: {', '.join(voices) or 'none'}")
    return wanted
