"""VoiceLoop on simulated devices and a virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from duologue import (
    AudioOutputDelta,
    Capabilities,
    ConfigurationError,
    ConnectionLost,
    Event,
    Interrupted,
    LocalProtocolError,
    Message,
    ProviderEvent,
    RealtimeAgent,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
)
from duologue.testing import (
    Committed,
    ContentSent,
    End,
    Expect,
    PlaybackNoticed,
    ReplyStopped,
    ScriptedTransport,
    Wait,
    assert_no_leaks,
    speech,
    tone,
    virtual_time,
)
from duologue_audio import DeviceGone, DeviceReopened, DuplexAudio, Microphone, Speaker, VoiceLoop
from duologue_audio import local_barge_in as local_barge_in_module
from duologue_audio.testing import MemoryBackend

RATE = 48000


class Rig:
    """A voice loop on a simulated device, playing a script."""

    def __init__(self, script: list[Any], *, turn_detection: TurnDetection | None = None, **options: Any) -> None:
        self.backend = options.pop("backend", None) or MemoryBackend()
        capabilities = options.pop("capabilities", Capabilities(input_rates=(16000, RATE), manual_turns=True))
        self.transport = ScriptedTransport(script, capabilities=capabilities)
        self.agent = RealtimeAgent("", self.transport, turn_detection=turn_detection)
        self.audio = DuplexAudio(backend=self.backend)
        self.loop = VoiceLoop(self.agent, self.audio, cancel_echo=False, **options)
        self.seen: list[Any] = []

    async def run(self) -> None:
        """Run to the end, observing."""

        async def observe() -> None:
            self.seen += [event async for event in events]

        events = self.loop.events()
        observer = asyncio.create_task(observe())
        try:
            await self.loop.run()
        finally:
            await observer

    @property
    def loud(self) -> np.ndarray[Any, Any]:
        """Which milliseconds of what was played are not silent."""
        played = self.backend.played[:, 0].astype(float)
        whole = len(played) // 48 * 48
        return np.abs(played[:whole].reshape(-1, 48)).max(axis=1) > 500

    def sent(self) -> list[bytes]:
        """The microphone's chunks as the session got them."""
        contents = [r.content for r in self.transport.sent if isinstance(r, ContentSent)]
        return [c.data for c in contents if not isinstance(c, list) and hasattr(c, "data")]


def said(history: tuple[Message, ...]) -> list[str]:
    """The texts."""
    return [m.text for m in history]


@virtual_time
async def test_speech_is_played_and_the_microphone_is_sent() -> None:
    rig = Rig([*speech("Hello.", ms=500), Wait(1), End()])
    rig.backend.room.say((np.sin(np.arange(RATE) / 20) * 8000).astype(np.int16))
    async with assert_no_leaks():
        await rig.run()
    assert 480 <= rig.loud.sum() <= 520
    assert any(np.abs(np.frombuffer(pcm, "<i2")).max() > 7000 for pcm in rig.sent())
    assert rig.loop.stats.chunks_sent >= 40
    assert not [e for e in rig.seen if isinstance(e, AudioOutputDelta)], "observers need no audio"
    assert any(isinstance(e, TurnComplete) for e in rig.seen)
    assert not rig.agent._engine or rig.transport.session.closed, "the loop opened the agent, so it closed it"


@virtual_time
async def test_what_was_said_is_heard_to_its_end_though_the_session_is_over() -> None:
    rig = Rig([*speech("Goodbye.", ms=2000), End()])
    await rig.run()
    assert 1950 <= rig.loud.sum() <= 2050


@virtual_time
async def test_a_cut_by_the_provider_silences_the_speaker_and_says_what_was_heard() -> None:
    script = [
        *speech("One two three four five.", ms=3000, response_id="r1"),
        Wait(1),
        SpeechStarted(),
        Interrupted("r1"),
    ]
    rig = Rig([*script, Wait(1), End()], capabilities=Capabilities(input_rates=(RATE,), truncation=True))
    await rig.run()
    assert 900 <= rig.loud.sum() <= 1000 + 30
    assert not [r for r in rig.transport.sent if isinstance(r, ReplyStopped)]
    (message,) = [m for m in rig.agent.history if m.role == "assistant"]
    assert message.text == "One two"
    assert not message.heard
    assert rig.loop.stats.cuts == 1


@virtual_time
async def test_speech_cuts_only_where_the_sessions_turn_detection_does() -> None:
    script = [*speech("One two three four five.", ms=2000), Wait(1), SpeechStarted(), Wait(3), End()]
    polite = Rig(list(script), turn_detection=TurnDetection(interrupt=False))
    await polite.run()
    assert polite.loud.sum() > 1900
    quick = Rig(list(script))
    await quick.run()
    assert quick.loud.sum() < 1100


@virtual_time
async def test_speech_while_nothing_plays_leaves_the_history_alone() -> None:
    script = [*speech("One two.", ms=500), Wait(2), SpeechStarted(), SpeechStopped(), Wait(1), End()]
    rig = Rig(script)
    await rig.run()
    assert said(rig.agent.history) == ["One two."]
    assert rig.loop.stats.cuts == 0


@virtual_time
async def test_the_application_can_cut() -> None:
    rig = Rig([*speech("One two three four five.", ms=3000, complete=False), Expect(ReplyStopped), Wait(1), End()])
    running = asyncio.create_task(rig.run())
    await asyncio.sleep(1)
    assert rig.loop.playing
    await rig.loop.interrupt()
    await running
    assert rig.loud.sum() < 1050


@virtual_time
async def test_playback_is_noticed_to_those_who_want_to_know() -> None:
    capabilities = Capabilities(input_rates=(RATE,), playback_notices=True)
    script = [*speech("One.", ms=500, response_id="r1"), Wait(2)]
    script += [*speech("Two.", ms=3000, response_id="r2"), Wait(1), SpeechStarted(), Interrupted("r2"), Wait(3), End()]
    rig = Rig(script, capabilities=capabilities)
    await rig.run()
    notices = [r for r in rig.transport.sent if isinstance(r, PlaybackNoticed)]
    assert notices == [PlaybackNoticed(True), PlaybackNoticed(False), PlaybackNoticed(True)], "none after a cut"


@virtual_time
async def test_a_pressed_key_is_heard_and_ends_the_turn() -> None:
    rig = Rig(
        [Expect(Committed), *speech("Yes.", ms=300), End()],
        turn_detection=TurnDetection(mode="manual"),
        push_to_talk=True,
    )
    running = asyncio.create_task(rig.run())
    await asyncio.sleep(1)
    assert rig.sent() == []
    await rig.loop.talk(True)
    await asyncio.sleep(1)
    await rig.loop.talk(False)
    await rig.loop.talk(False)
    await running
    assert 45 <= len(rig.sent()) <= 51
    assert rig.transport.sent.count(Committed()) == 1
    assert rig.loop.stats.chunks_silenced > 40


@virtual_time
async def test_a_pressed_key_cuts_the_agent_short() -> None:
    rig = Rig([*speech("Long.", ms=5000), Wait(5), End()], push_to_talk=True)
    running = asyncio.create_task(rig.run())
    await asyncio.sleep(1)
    await rig.loop.talk(True)
    await running
    assert rig.loud.sum() < 1050


@virtual_time
async def test_with_server_turns_the_unpressed_key_sends_silence() -> None:
    rig = Rig([Wait(1), End()], push_to_talk=True)
    rig.backend.room.say(np.full(RATE, 9000, np.int16))
    await rig.run()
    assert len(rig.sent()) > 40
    assert not any(any(pcm) for pcm in rig.sent())


@virtual_time
async def test_half_duplex_hears_nothing_while_the_agent_speaks() -> None:
    rig = Rig([Wait(1), *speech("Listen.", ms=1000), Wait(2), End()], half_duplex=True)
    rig.backend.room.say(np.full(3 * RATE, 9000, np.int16))
    await rig.run()
    silent = sum(not any(pcm) for pcm in rig.sent()[:140])
    assert 48 <= silent <= 56
    assert rig.loop.stats.chunks_silenced == pytest.approx(51, abs=4)


@virtual_time
async def test_muted_sends_silence() -> None:
    rig = Rig([Wait(1), End()])
    rig.loop.muted = True
    rig.backend.room.say(np.full(RATE, 9000, np.int16))
    await rig.run()
    assert rig.sent()
    assert not any(any(pcm) for pcm in rig.sent())
    assert rig.loop.stats.microphone_db == -96


def test_a_key_and_half_duplex_exclude_each_other() -> None:
    agent = RealtimeAgent("", ScriptedTransport())
    with pytest.raises(ConfigurationError, match="exclude"):
        VoiceLoop(agent, DuplexAudio(), push_to_talk=True, half_duplex=True)


class Loudness:
    """Stands for a detector: what is loud is a voice."""

    def process(self, frame: bytes) -> float:
        return float(np.abs(np.frombuffer(frame, "<i2")).max() > 4000)


@virtual_time
async def test_a_voice_noticed_on_this_side_cuts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_barge_in_module, "installed_vad", Loudness)
    rig = Rig([*speech("Long.", ms=5000, complete=False), Expect(ReplyStopped), Wait(2), End()], local_barge_in=True)
    rig.backend.room.say(np.concatenate([np.zeros(RATE, np.int16), np.full(RATE // 2, 9000, np.int16)]))
    await rig.run()
    assert 1000 <= rig.loud.sum() <= 1250, "a voice after one second silences the speaker"


@virtual_time
async def test_latencies_are_the_sum_of_their_parts() -> None:
    told = {"end_of_turn": 300.0, "asr": 50.0, "llm_first": 100.0, "tts_first": 60.0}
    script = [
        SpeechStarted(),
        SpeechStopped(),
        Wait(0.5),
        *speech("One.", ms=300, response_id="r1"),
        Wait(2),
        SpeechStarted(),
        SpeechStopped(),
        ProviderEvent("local", "latency", {"response_id": "r2", **told}),
        *speech("Two.", ms=300, response_id="r2"),
        Wait(2),
        *speech("Unasked.", ms=300, response_id="r3"),
        Wait(1),
        End(),
    ]
    rig = Rig(script)
    await rig.run()
    first, second = rig.loop.stats.latencies
    assert list(first.parts) == ["reply", "output"]
    assert first.parts["reply"] == pytest.approx(500, abs=1)
    assert 10 <= first.parts["output"] <= 60
    assert list(second.parts) == [*told, "output"]
    assert second.voice_to_voice_ms == pytest.approx(sum(second.parts.values()))
    assert second.response_id == "r2"


@virtual_time
async def test_the_sessions_error_ends_the_loop() -> None:
    rig = Rig([Wait(1), ConnectionLost("gone")])
    async with assert_no_leaks():
        with pytest.raises(ConnectionLost, match="gone"):
            await rig.run()


@virtual_time
async def test_cancelling_leaves_nothing_and_it_can_run_again() -> None:
    rig = Rig([Wait(1), End()])
    rig.transport.script = lambda: [Wait(1), End()]
    async with assert_no_leaks():
        running = asyncio.create_task(rig.loop.run())
        await asyncio.sleep(0.5)
        with pytest.raises(LocalProtocolError, match="runs already"):
            await rig.loop.run()
        running.cancel()
        await asyncio.wait([running])
        await rig.loop.run()


@virtual_time
async def test_an_agent_that_was_connected_stays_so() -> None:
    rig = Rig([Wait(1), *speech("Still here.", ms=100)])
    async with rig.agent:
        running = asyncio.create_task(rig.loop.run())
        await asyncio.sleep(2)
        running.cancel()
        await asyncio.wait([running])
        assert not rig.transport.session.closed


@virtual_time
async def test_a_device_that_vanishes_is_reported_and_the_talk_goes_on() -> None:
    rig = Rig([Wait(1), *speech("One two three.", ms=2000), Wait(6), End()])
    running = asyncio.create_task(rig.run())
    await asyncio.sleep(2)
    rig.backend.unplug()
    await asyncio.sleep(0.7)
    rig.backend.plug()
    await running
    gone, back = (e for e in rig.seen if isinstance(e, DeviceGone | DeviceReopened))
    assert isinstance(gone, DeviceGone)
    assert isinstance(back, DeviceReopened)
    assert back.gap < 2
    assert 1900 <= rig.loud.sum() <= 2050, "what was not played is played by the next device"


@virtual_time
async def test_two_streams_work_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    backend = MemoryBackend()
    agent = RealtimeAgent(
        "", ScriptedTransport([*speech("Hello.", ms=500), Wait(1), End()]), input_audio_format="audio/pcm;rate=16000"
    )
    loop = VoiceLoop(agent, (Microphone(16000, backend=backend), Speaker(backend=backend)))
    assert "drift" in caplog.text
    await loop.run()
    assert (np.abs(backend.played[:, 0].astype(float)) > 500).sum() > 10000
    assert loop.stats.chunks_sent > 15


@virtual_time
async def test_observers_that_sleep_lose_the_oldest_and_it_is_counted() -> None:
    script: list[Event] = [TranscriptDelta("assistant", f"{n} ", item_id="i") for n in range(1500)]
    rig = Rig([*script, Wait(1), End()])
    events = rig.loop.events()
    await rig.loop.run()
    seen = [e async for e in events]
    assert len(seen) == 1000
    assert rig.loop.stats.events_dropped == 500
    assert isinstance(seen[-1], TranscriptDelta)
    assert seen[-1].delta == "1499 "


@virtual_time
async def test_levels_follow_both_sides() -> None:
    rig = Rig([AudioOutputDelta(tone(500), response_id="r1"), Wait(0.5), End()])
    rig.backend.room.say(np.full(RATE, 16384, np.int16))
    await rig.run()
    assert rig.loop.stats.microphone_db == pytest.approx(-6, abs=1)
    assert -25 < rig.loop.stats.speaker_db < -15


@virtual_time
async def test_the_speakers_level_is_that_of_what_is_played_not_of_what_is_queued() -> None:
    rig = Rig([AudioOutputDelta(tone(2000), response_id="r1"), Wait(4), End()])
    levels: list[float] = []

    async def look() -> None:
        while True:
            await asyncio.sleep(0.5)
            levels.append(rig.loop.stats.speaker_db)

    looking = asyncio.create_task(look())
    await rig.run()
    looking.cancel()
    assert all(-25 < db < -15 for db in levels[:4]), "all was queued at once, and is heard for two seconds"
    assert levels[6] < -35, "it falls 20 dB a second when nothing is played"
