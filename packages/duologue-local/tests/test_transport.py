"""LocalTransport's arguments, discovery, and the contract every transport keeps."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, ClassVar

import pytest
from duologue import TurnDetection
from duologue.discovery import get_transport
from duologue.errors import ConfigurationError
from duologue.testing import TransportContract
from duologue_local import DEMO_TOOLS, LocalTransport, SoxrResampler, ToolCall
from local_kit import Stages, silence, speech


def test_it_is_found_by_name() -> None:
    assert isinstance(get_transport("local", end_silence_ms=200), LocalTransport)
    with pytest.raises(ConfigurationError):
        get_transport("local", nonsense=1)


@pytest.mark.parametrize("kind", ["vad", "asr", "llm", "tts"])
def test_its_stages_are_registered(kind: str) -> None:
    assert {e.name for e in entry_points(group=f"duologue.{kind}")} & {"silero", "whisper-tiny.en", "smollm2", "piper"}


@pytest.mark.parametrize("options", [{"end_silence_ms": 0}, {"max_sessions": 0}])
def test_wrong_arguments_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        LocalTransport(**options)


@pytest.mark.parametrize(
    "given",
    [
        {"options": {"temprature": 1}},
        {"options": {"max_tokens": 0}},
        {"options": {"temperature": -1}},
        {"turn_detection": TurnDetection(threshold=1.5)},
        {"system": "word " * 2000},
    ],
)
async def test_wrong_options_are_refused_and_nothing_is_held(given: dict[str, Any]) -> None:
    from duologue_local.pool import POOL

    with pytest.raises(ConfigurationError):
        await Stages().transport().connect(**{"system": "", "tools": [], **given})
    assert POOL._sessions == 0


def test_turn_detection_is_honoured() -> None:
    settings = LocalTransport(end_silence_ms=400)._settings(
        TurnDetection(threshold=0.8, prefix_ms=100, silence_ms=500, interrupt=False)
    )
    assert (settings.threshold, settings.prefix_ms, settings.end_silence_ms) == (0.8, 100, 500)
    assert settings.release == pytest.approx(0.65)
    assert not settings.interrupts
    assert LocalTransport(end_silence_ms=400)._settings(TurnDetection()).end_silence_ms == 400


def test_the_resampler_streams() -> None:
    import numpy as np

    tone = (8000 * np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000)).astype("<i2").tobytes()
    resampler = SoxrResampler(48000, 16000)
    out = b"".join(resampler.process(tone[at : at + 777]) for at in range(0, len(tone), 777)) + resampler.flush()
    got = np.frombuffer(out, "<i2").astype(float)
    wanted = 8000 * np.sin(np.arange(len(got)) * 2 * np.pi * 440 / 16000)
    assert abs(len(got) - 16000) <= 2
    assert np.abs(got - wanted)[200:-200].max() < 20


class TestContract(TransportContract):
    """The orchestration, on scripted stages."""

    long_prompt = "Talk."
    tools: ClassVar[list[Any]] = DEMO_TOOLS
    tool_prompt = "Set a timer."
    spoken = speech(640) + silence(1000)
    close_limit = 2.0

    def transport(self) -> LocalTransport:
        stages = Stages()
        plain = stages.llm.generate

        def generate(request: Any, emit: Any) -> Any:
            last = request.messages[-1]
            if last.content == self.tool_prompt:
                stages.llm.answers = [ToolCall("set_timer", {"minutes": 1})]
            elif last.content == self.long_prompt:
                stages.llm.answers = ["One two three four five six seven eight nine ten. " * 3]
            return plain(request, emit)

        stages.llm.generate = generate  # type: ignore[method-assign]
        return stages.transport()
