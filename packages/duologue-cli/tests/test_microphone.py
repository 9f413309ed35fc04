import struct

from duologue_cli.microphone import VirtualMicrophone
from duologue_cli.wav import Sound
from hypothesis import given
from hypothesis import strategies as st


def sound(samples, rate=1000):
    return Sound.from_pcm16(struct.pack(f"<{len(samples)}h", *samples), rate)


@given(st.integers(0, 3), st.lists(st.integers(-9000, 9000), min_size=1, max_size=99))
def test_blocks_give_the_utterance_between_silences(before, samples):
    microphone = VirtualMicrophone(1000, 1000)
    blocks = [microphone.next_block() for _ in range(before)]
    microphone.speak(sound(samples))
    spoken = []
    while microphone.busy:
        spoken.append(microphone.next_block())
    after = microphone.next_block()
    assert {len(block.pcm) for block in [*blocks, *spoken, after]} == {40}
    assert b"".join(block.pcm for block in spoken) == sound(samples).pcm16(1000).ljust(40 * len(spoken), b"\0")
    assert len(spoken) == -(-len(samples) // 20)
    assert not any(b"".join(block.pcm for block in [*blocks, after]))
    assert [block.number for block in [*blocks, *spoken, after]] == list(range(before + len(spoken) + 1))


def test_session_and_recording_get_their_own_rates():
    microphone = VirtualMicrophone(16000, 24000)
    microphone.speak(sound([1000] * 16000, 16000))
    block = microphone.next_block()
    assert (len(block.pcm), len(block.recorded)) == (640, 960)
    total = block.recorded
    while microphone.busy:
        total += microphone.next_block().recorded
    assert len(total) == 48000


def test_time_that_was_missed_moves_the_numbers_and_loses_no_speech():
    microphone = VirtualMicrophone(1000, 1000)
    microphone.speak(sound([1] * 20 + [2] * 20))
    microphone.next_block()
    microphone.skip(50)
    block = microphone.next_block()
    assert (block.number, block.pcm) == (51, struct.pack("<20h", *[2] * 20))
