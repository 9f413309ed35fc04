"""The live chat on simulated devices and a virtual clock."""

import asyncio
import json
import wave

import numpy as np
import pytest
from duologue.blocks import AudioBlock, TextBlock
from duologue.errors import ConfigurationError, DeviceUnavailable, DuologueError, RateLimited, UnsupportedFormat
from duologue.events import (
    AudioOutputDelta,
    Error,
    Interrupted,
    ProviderEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import ContentSent, End, ScriptedTransport, VirtualClock, Wait, assert_no_leaks, speech, tone
from duologue.transport import Capabilities
from duologue.types import StopReason
from duologue_audio import DeviceGone, DeviceReopened, Pair
from duologue_audio.testing import MemoryBackend, using_backend
from duologue_cli.advice import Advice
from duologue_cli.chat import RATE
from duologue_cli.live import WAITING, LiveChat, OverheardAgent, check_canceller, device_of, try_devices
from duologue_cli.live_recording import LiveRecording
from duologue_cli.outputs import JsonOutput
from duologue_cli.recording import WavWriter

DEVICE_RATE = 48_000


class Shown:
    """An output that remembers."""

    def __init__(self):
        self.events, self.replies, self.latencies, self.notices, self.typed_lines = [], [], [], [], []

    def event(self, event, t, reply=None):
        self.events.append((t, event))
        if isinstance(event, Interrupted):
            self.replies.append(reply.text if reply else None)

    def latency(self, latency):
        self.latencies.append(latency)

    def notice(self, text):
        self.notices.append(text)

    def typed(self, text, t=0.0):
        self.typed_lines.append((text, t))

    def of(self, kind):
        return [event for _, event in self.events if isinstance(event, kind)]


def talk(script, *, backend=None, shown=None, rates=(16_000,), stop_at=None, at=(), keys=(), **kwargs):
    """Run a live chat to its end; return it with what was shown, the history, the transport and the backend."""
    backend = backend or MemoryBackend()
    transport = ScriptedTransport(script, capabilities=Capabilities(input_rates=rates, truncation=True))
    shown = Shown() if shown is None else shown
    kwargs.setdefault("canceller", "off")

    async def main():
        async with assert_no_leaks():
            agent = OverheardAgent("Be brief.", transport, close_timeout=0.0)
            await agent.connect()
            chat = LiveChat(agent, shown, **kwargs)
            loop = asyncio.get_running_loop()
            if stop_at is not None:
                loop.call_later(stop_at, chat.stop, 2)
            for when, what in at:
                loop.call_later(when, what)
            for when, press in keys:
                loop.call_later(when, press, chat)
            try:
                await chat.run()
            finally:
                await agent.close()
        return chat, agent.history

    with using_backend(backend):
        chat, history = VirtualClock().run(main())
    return chat, shown, history, transport, backend


def reply(text="One two three four five.", ms=3000, name="r1"):
    return speech(text, ms=ms, response_id=name, item_id=f"item-{name}")


def voice(ms):
    return np.frombuffer(tone(ms, rate=DEVICE_RATE, hz=443), "<i2")


def loud_ms(samples, rate):
    whole = len(samples) // (rate // 1000) * (rate // 1000)
    return int((np.abs(samples[:whole].astype(int)).reshape(-1, rate // 1000).max(axis=1) > 500).sum())


def heard(transport):
    blocks = [record.content for record in transport.sent if isinstance(record, ContentSent)]
    assert {block.media_type for block in blocks} == {"audio/pcm;rate=16000"}
    return np.frombuffer(b"".join(block.data for block in blocks), "<i2")


def channels(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return both[0::2], both[1::2]


def test_the_microphone_is_sent_and_the_reply_played_and_shown():
    backend = MemoryBackend()
    backend.room.say(voice(500))
    chat, shown, history, transport, _ = talk([Wait(1), *reply(ms=1000), Wait(1), End()], backend=backend)
    assert loud_ms(heard(transport), 16_000) == pytest.approx(500, abs=10)
    assert loud_ms(backend.played[:, 0], DEVICE_RATE) == pytest.approx(1000, abs=10)
    assert [message.text for message in history] == ["One two three four five."]
    assert sum(len(event.data) for event in shown.of(AudioOutputDelta)) == 48_000
    assert [t for t, _ in shown.events] == sorted(t for t, _ in shown.events)
    assert shown.notices == ["Speak; Ctrl-C ends the conversation.", "The session has ended."]
    assert (chat.outcome.failure, chat.outcome.stopped_by) == (None, None)


def test_the_microphone_runs_at_the_rate_of_the_session():
    talked = talk([Wait(0.2), End()], rates=(8000, 16_000))
    blocks = [record.content for record in talked[3].sent if isinstance(record, ContentSent)]
    assert {(block.media_type, len(block.data)) for block in blocks} == {("audio/pcm;rate=8000", 320)}


def test_a_cut_reply_is_shown_with_what_was_heard_of_it():
    script = [*reply(), Wait(1.5), SpeechStarted(), Wait(0.02), Interrupted("r1")]
    script += [TurnComplete(StopReason.interrupted, response_id="r1"), Wait(1), End()]
    _, shown, history, _, backend = talk(script)
    (cut,) = shown.of(Interrupted)
    assert cut.heard_ms == pytest.approx(1450, abs=60)
    assert shown.replies == ["One two"]
    assert [message.text for message in history] == ["One two"]
    assert loud_ms(backend.played[:, 0], DEVICE_RATE) < 1600


def test_stopping_cuts_the_reply_and_closes_the_devices():
    chat, _, history, _, backend = talk([*reply(ms=10_000), Wait(60)], stop_at=2.5)
    assert chat.outcome.stopped_by == 2
    assert [(message.text, message.heard) for message in history] == [("One", False)]
    assert loud_ms(backend.played[:, 0], DEVICE_RATE) < 2700


def test_the_latency_is_what_the_speaker_says_with_the_parts_of_the_session():
    parts = {"response_id": "r1", "end_of_turn": 320, "asr": 100, "llm_first": 120, "tts_first": 110}
    latency = ProviderEvent("local", "latency", parts)
    script = [Wait(1), SpeechStarted(), SpeechStopped(), latency, *reply(ms=1000), Wait(2), SpeechStarted()]
    script += [SpeechStopped(), Wait(0.25), *reply(ms=500, name="r2"), Wait(1), End()]
    chat, shown, *_ = talk(script)
    first, second = shown.latencies
    output = first.parts["output"]
    assert first.parts == {"end_of_turn": 320, "asr": 100, "llm_first": 120, "tts_first": 110, "output": output}
    assert 10 <= output <= 60
    assert first.voice_to_voice_ms == pytest.approx(650 + output)
    assert [second.parts[name] for name in ("end_of_turn", "asr", "llm_first", "tts_first")] == [None] * 4
    assert second.voice_to_voice_ms == pytest.approx(250 + second.parts["output"], abs=5)
    assert chat.measures.summary(())["voice_to_voice_ms"] == [x.voice_to_voice_ms for x in (first, second)]


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_the_recording_has_both_sides_chunk_by_chunk(tmp_path, rate):
    backend = MemoryBackend()
    backend.room.say(np.zeros(DEVICE_RATE // 2, np.int16))
    backend.room.say(voice(500))
    recording = WavWriter(tmp_path / "out.wav", RATE)
    talk([Wait(1.5), *reply(ms=1000), Wait(1.5), End()], backend=backend, recording=recording, rates=(rate,))
    recording.close()
    left, right = channels(tmp_path / "out.wav")
    assert loud_ms(left, RATE) == pytest.approx(500, abs=20)
    assert loud_ms(right, RATE) == pytest.approx(1000, abs=20)
    begins = [int(np.argmax(np.abs(side.astype(int)) > 500)) / RATE for side in (left, right)]
    assert begins == pytest.approx([0.55, 1.55], abs=0.08)
    assert len(left) / RATE == pytest.approx(3.0, abs=0.1)


def test_a_device_that_was_gone_is_silence_of_its_true_length_in_the_recording(tmp_path):
    backend = MemoryBackend()
    at = [(1.0, backend.unplug), (3.0, backend.plug), (4.5, lambda: backend.room.say(voice(200)))]
    recording = WavWriter(tmp_path / "out.wav", RATE)
    talk([Wait(5), *reply(ms=500), Wait(1.5), End()], backend=backend, at=at, recording=recording)
    recording.close()
    left, right = channels(tmp_path / "out.wav")
    begins = [int(np.argmax(np.abs(side.astype(int)) > 500)) / RATE for side in (left, right)]
    assert begins == pytest.approx([4.5, 5.05], abs=0.1)
    assert len(left) / RATE == pytest.approx(6.5, abs=0.15)


def test_chunks_that_were_dropped_are_silence_of_their_length():
    def pair(frame, lost):
        sound = np.full(480, 8000, np.int16)
        return Pair(sound, sound, frame, lost, sound)

    class Kept:
        stereo = b""

        def write(self, stereo):
            self.stereo += stereo

    kept = Kept()
    tape = LiveRecording(kept, RATE, RATE, [].append)
    for frame, lost in ((0, 0), (480, 0), (3360, 2400)):
        tape.paired(pair(frame, lost))
        tape.captured(np.full(480, 8000, np.int16).tobytes())
    tape.finish()
    both = np.frombuffer(kept.stereo, "<i2").reshape(-1, 2)
    loud = np.flatnonzero(np.abs(both).min(axis=1) > 4000)
    assert len(both) == 3840
    assert 950 <= loud[loud < 2000].max() < 965
    assert loud[loud > 2000].min() == pytest.approx(3360, abs=5)


# -- keys ---------------------------------------------------------------------------------------------------


def test_nothing_is_heard_of_a_muted_microphone():
    backend = MemoryBackend()
    backend.room.say(voice(3000))
    keys = [(1.0, lambda chat: chat.mute(True)), (2.0, lambda chat: chat.mute(False))]
    transport = talk([Wait(4), End()], backend=backend, keys=keys)[3]
    assert loud_ms(heard(transport), 16_000) == pytest.approx(2000, abs=60)


def test_push_to_talk_hears_between_its_two_presses_and_cuts_the_agent():
    backend = MemoryBackend()
    backend.room.say(voice(3000))
    keys = [(0.0, lambda chat: chat.push_to_talk(True)), (1.0, lambda chat: chat.talk(True))]
    keys += [(1.5, lambda chat: chat.talk(False))]
    chat, shown, history, transport, backend = talk([*reply(ms=5000), Wait(4), End()], backend=backend, keys=keys)
    assert loud_ms(heard(transport), 16_000) == pytest.approx(500, abs=60)
    assert loud_ms(backend.played[:, 0], DEVICE_RATE) == pytest.approx(1000, abs=80)
    assert [cut.heard_ms for cut in shown.of(Interrupted)] == [pytest.approx(950, abs=60)]
    assert [message.heard for message in history] == [False]
    assert chat.status().push_to_talk
    assert not chat.status().talking


def test_push_to_talk_that_is_given_up_opens_the_microphone_and_mute_still_counts():
    backend = MemoryBackend()
    backend.room.say(voice(3000))
    keys = [(0.0, lambda chat: chat.talk(False)), (1.0, lambda chat: chat.push_to_talk(False))]
    keys += [(2.0, lambda chat: chat.mute(True)), (2.5, lambda chat: chat.talk(True))]
    transport = talk([Wait(4), End()], backend=backend, keys=keys)[3]
    assert loud_ms(heard(transport), 16_000) == pytest.approx(1000, abs=60)


def test_a_key_cuts_the_agent_and_the_history_ends_at_what_was_heard():
    chat, shown, history, _, backend = talk([*reply(), Wait(4), End()], keys=[(1.5, LiveChat.interrupt)])
    assert [message.text for message in history] == ["One two"]
    assert loud_ms(backend.played[:, 0], DEVICE_RATE) == pytest.approx(1500, abs=80)
    assert len(shown.of(Interrupted)) == 1
    assert chat.outcome.failure is None


def test_what_is_typed_cuts_the_agent_is_shown_and_sent():
    keys = [(1.0, lambda chat: chat.type("Stop."))]
    _, shown, history, transport, _ = talk([*reply(), Wait(4), End()], keys=keys)
    assert [record.content for record in transport.sent if record == ContentSent(TextBlock("Stop."))]
    assert [(text, round(t)) for text, t in shown.typed_lines] == [("Stop.", 1)]
    assert [(message.role, message.heard) for message in history] == [("assistant", False), ("user", True)]


@pytest.mark.parametrize("failure", [UnsupportedFormat("it takes no text"), ValueError("it takes no text")])
def test_what_the_session_does_not_take_is_told_and_the_conversation_goes_on(failure):
    class Deaf(OverheardAgent):
        async def send(self, content, *, respond=None):
            if isinstance(content, TextBlock):
                raise failure
            await super().send(content, respond=respond)

    keys = [(0.5, lambda chat: chat.type("Hello.")), (1.0, lambda chat: chat.mute(True))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "OverheardAgent", Deaf)
        chat, shown, *_ = talk([Wait(2), End()], keys=keys)
    assert "it takes no text" in shown.notices
    assert (chat.outcome.failure, chat.status().muted) == (None, True)


def test_keys_that_come_faster_than_they_are_obeyed_are_counted():
    class Stuck(OverheardAgent):
        async def send(self, content, *, respond=None):
            if isinstance(content, TextBlock):
                await asyncio.Event().wait()
            await super().send(content, respond=respond)

    keys = [(0.5 + n / 100, lambda chat: chat.type("Hello.")) for n in range(20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "OverheardAgent", Stuck)
        chat, *_ = talk([Wait(2), End()], keys=keys)
    assert chat.status().counters["keys dropped"] == 20 - 1 - WAITING


def test_the_status_has_the_levels_of_both_sides():
    backend = MemoryBackend()
    backend.room.say(voice(2000))
    seen = []
    keys = [(1.5, lambda chat: seen.append(chat.status()))]
    talk([Wait(1), *reply(ms=1000), Wait(2), End()], backend=backend, keys=keys)
    (status,) = seen
    assert status.playing
    assert -30 < status.microphone_db < -5
    assert -30 < status.speaker_db < -5
    assert status.now == pytest.approx(1.5, abs=0.05)
    assert not status.counters


def test_quitting_cuts_the_reply_as_ctrl_c_does_and_is_no_failure():
    chat, shown, history, _, _ = talk([*reply(ms=10_000), Wait(60)], keys=[(2.5, LiveChat.stop)])
    assert len(shown.of(Interrupted)) == 1, "what is cut at the end is shown, too"
    assert (chat.outcome.stopped_by, chat.outcome.failure) == (None, None)
    assert [message.heard for message in history] == [False]


def test_whoever_stops_first_says_why():
    keys = [(1.0, lambda chat: chat.stop(2)), (1.0, lambda chat: chat.stop(None))]
    assert talk([Wait(60)], keys=keys)[0].outcome.stopped_by == 2


def test_advice_comes_when_the_devices_give_reason():
    class Always(Advice):
        def during(self, stats):
            return self._new(["close other programs"])

    _, shown, *_ = talk([Wait(2), End()], advice=Always(local=False, echo_cancelled=None))
    assert shown.notices.count("close other programs") == 1


def test_a_full_disk_ends_the_conversation_with_one_reason(tmp_path):
    class Full(WavWriter):
        def write(self, stereo):
            if stereo:
                tried.append(len(stereo))
                raise OSError(28, "No space left on device")

    tried = []
    full = Full(tmp_path / "out.wav", RATE)
    chat, *_ = talk([*reply(ms=9000), Wait(9), End()], recording=full)
    full.close()
    assert len(tried) == 1
    assert isinstance(chat.outcome.failure, DuologueError)
    assert "No space left" in str(chat.outcome.failure)


def test_what_ends_the_session_is_shown_and_told():
    chat, shown, *_ = talk([Wait(0.5), RateLimited("the provider asks for patience")])
    assert isinstance(chat.outcome.failure, RateLimited)
    assert [str(error.exception) for error in shown.of(Error)] == ["the provider asks for patience"]


def test_a_device_that_goes_and_comes_back_is_told():
    backend = MemoryBackend()
    at = [(0.5, backend.unplug), (1.0, backend.plug)]
    chat, shown, *_ = talk([Wait(4), End()], backend=backend, at=at)
    assert chat.outcome.failure is None
    assert (len(shown.of(DeviceGone)), len(shown.of(DeviceReopened))) == (1, 1)
    assert shown.notices[1].startswith("simulated is gone (")
    assert shown.notices[2].startswith("Audio goes on with simulated, after ")


def test_a_device_that_goes_is_an_event_in_json(capsys):
    backend = MemoryBackend()
    at = [(0.5, backend.unplug), (1.0, backend.plug)]
    talk([Wait(4), End()], backend=backend, at=at, shown=JsonOutput())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    gone, back = [event for event in events if event["event"].startswith("Device")]
    assert (gone["event"], gone["device"], back["event"]) == ("DeviceGone", "simulated", "DeviceReopened")
    assert back["gap"] == pytest.approx(back["t"] - gone["t"], abs=0.1)


def test_a_device_that_cannot_be_opened_raises():
    backend = MemoryBackend()
    backend.unplug()
    with pytest.raises(DeviceUnavailable):
        talk([Wait(1), End()], backend=backend)


def test_the_devices_are_tried_and_let_go():
    backend = MemoryBackend()

    async def main():
        async with assert_no_leaks():
            await try_devices(["simulated"])
            with pytest.raises(DeviceUnavailable):
                await try_devices(["simulated", "another"])

    with using_backend(backend):
        VirtualClock().run(main())
    assert [stream.alive for stream in backend.streams] == [False]


def test_the_echo_is_cancelled_unless_it_is_off():
    def echo_heard(canceller):
        backend = MemoryBackend(echo_gain=0.5, echo_ms=30)
        transport = talk([*reply(ms=4000), Wait(4), End()], backend=backend, canceller=canceller)[3]
        return float(np.std(heard(transport)[32_000:48_000].astype(float)))

    assert echo_heard("off") > 1000
    assert echo_heard(None) < 100


@pytest.mark.parametrize(
    ("names", "device"),
    [((), None), (("3",), 3), (("USB",), "USB"), (("USB", "0"), ("USB", 0))],
)
def test_devices_are_named_by_number_or_name(names, device):
    assert device_of(names) == device


def test_three_devices_are_one_too_many():
    with pytest.raises(ConfigurationError, match="--device"):
        device_of(["1", "2", "3"])


def test_a_canceller_that_is_not_there_is_named():
    check_canceller(None)
    check_canceller("off")
    with pytest.raises(ConfigurationError, match="'parrot'"):
        check_canceller("parrot")


def test_typing_does_not_count_as_microphone_audio():
    async def main():
        transport = ScriptedTransport([Wait(1), End()])
        seen = []
        async with OverheardAgent("", transport) as agent:
            agent.on_audio = seen.append
            await agent.send("Hello.")
            await agent.send(AudioBlock(bytes(640)))
        assert [type(block) for block in seen] == [AudioBlock]

    VirtualClock().run(main())


def test_nothing_is_shown_of_an_agent_that_nobody_watches():
    async def main():
        transport = ScriptedTransport([TranscriptDelta("assistant", "Hi."), End()])
        async with OverheardAgent("", transport) as agent:
            return [event async for event in agent.events()]

    assert TranscriptDelta("assistant", "Hi.") in VirtualClock().run(main())
