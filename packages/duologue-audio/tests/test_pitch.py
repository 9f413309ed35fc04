"""A tone of 440 Hz that a transport sends at 24 kHz leaves the speaker at 440 Hz, whichever way it takes."""

import pytest
from duologue import RealtimeAgent
from duologue.testing import End, ScriptedTransport, Wait, speech, virtual_time
from duologue_audio import DuplexAudio, Microphone, Speaker, VoiceLoop
from duologue_audio.testing import MemoryBackend

from .tones import pitch, sounding

WAYS = {
    "duplex at 16 kHz": lambda backend: DuplexAudio(16000, backend=backend),
    "duplex at 48 kHz": lambda backend: DuplexAudio(backend=backend),
    "duplex that feeds 16 kHz": lambda backend: DuplexAudio(feed_rate=16000, backend=backend),
    "duplex in stereo": lambda backend: DuplexAudio(channels=2, mono_io=False, backend=backend),
    "duplex with a canceller": lambda backend: DuplexAudio(echo="webrtc", backend=backend),
    "two streams": lambda backend: (Microphone(16000, backend=backend), Speaker(backend=backend)),
    "two streams, a speaker at 48 kHz": lambda backend: (Microphone(backend=backend), Speaker(48000, backend=backend)),
}


@pytest.mark.parametrize("device_rate", [16000, 24000, 44100, 48000, 96000])
@pytest.mark.parametrize("way", WAYS)
def test_a_transports_tone_keeps_its_pitch_and_its_length(way, device_rate):
    @virtual_time
    async def run():
        backend = MemoryBackend(rate=device_rate, input_channels=2, output_channels=2)
        agent = RealtimeAgent("", ScriptedTransport([*speech("Aah.", ms=1500), Wait(2), End()]))
        await VoiceLoop(agent, WAYS[way](backend), cancel_echo="canceller" in way).run()
        for side in range(2):
            played = sounding(backend.played[:, side])
            assert pitch(played, device_rate) == pytest.approx(440, abs=1)
            assert len(played) == pytest.approx(1.5 * device_rate, rel=0.01)

    run()
