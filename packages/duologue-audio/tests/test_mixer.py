"""MixerStream: which queued frame went out in which device block, from counts alone."""

import numpy as np
from duologue_audio.mixer import MixerStream
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from . import fake_mixer

RATE, BLOCK = 64, 4  # a ring holds 64 frames of playing and 128 of recording


class MixerMachine(RuleBasedStateMachine):
    """The stream's owner and the device take turns; every pair is what that block recorded and played."""

    def __init__(self):
        super().__init__()
        self.mixer = fake_mixer.Mixer(BLOCK)
        self.stream = MixerStream(fake_mixer, self.mixer, RATE, BLOCK, (1, 1))
        self.stream.begin()
        self.device = []  # (near, far) of each block
        self.next = 1
        self.read = 0
        self.numbers = []  # every frame that was queued, by its number
        self.reported = set()

    @rule(blocks=st.integers(1, 4))
    def serve(self, blocks):
        for _ in range(blocks):
            near = np.full((BLOCK, 1), (len(self.device) % 30000) / 32768, np.float32)
            self.device.append((len(self.device) % 30000, np.trunc(self.mixer.block(near)[:, 0] * 32767).astype(int)))

    @rule(count=st.integers(1, 80))
    def write(self, count):
        samples = np.arange(self.next, self.next + count).astype(np.int16)[:, None]
        taken = self.stream.write(samples)
        assert taken <= count
        self.numbers += samples[:taken, 0].tolist()
        self.next = (self.next + taken) % 30000 + 1

    @rule()
    def clear(self):
        self.stream.clear()
        assert self.stream.waiting() == 0
        self.collect()  # as a line does: what was sent is remembered for four rings' worth of frames

    @rule()
    def collect(self):
        captured = self.stream.read()
        assert captured.lost % BLOCK == 0
        first = self.read + captured.lost // BLOCK
        for index in range(len(captured.near) // BLOCK):
            near, far = self.device[first + index]
            part = slice(index * BLOCK, (index + 1) * BLOCK)
            assert captured.near[part, 0].tolist() == [near] * BLOCK
            assert captured.far[part, 0].tolist() == far.tolist()
        assert len(captured.blocks) == (captured.lost + len(captured.near)) // BLOCK
        for index, block in enumerate(captured.blocks):
            played = self.device[self.read + index][1]
            assert np.count_nonzero(played) == block.frames
            assert played[: block.frames].tolist() == self.numbers[block.first : block.first + block.frames]
        self.read = first + len(captured.near) // BLOCK

    def teardown(self):
        for _ in range(3):  # whatever was uncertain is certain three blocks later, but for the newest of them
            self.serve(1)
            self.collect()
        assert self.read >= len(self.device) - 1
        rest = self.stream.unplayed()[:, 0].tolist()
        assert rest == self.numbers[len(self.numbers) - len(rest) :]


TestMixerStream = MixerMachine.TestCase
TestMixerStream.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def serving(seconds=0.0):
    mixer = fake_mixer.Mixer(BLOCK)
    stream = MixerStream(fake_mixer, mixer, RATE, BLOCK, (1, 1))
    stream.begin()
    for _ in range(int(seconds * RATE / BLOCK)):
        mixer.block(np.zeros((BLOCK, 1)))
    return mixer, stream


@given(st.integers(-32767, 32767))
def test_every_sample_leaves_as_it_came(value):
    mixer, stream = serving()
    stream.write(np.array([[value]], np.int16))
    played = mixer.block(np.full((BLOCK, 1), np.float32(value / 32768)))
    assert int(np.float32(played[0, 0]) * np.float32(32767)) == value
    captured = stream.read()
    assert captured.near[0, 0] == value
    assert captured.far[0, 0] == value


def test_a_loop_that_stands_still_loses_old_blocks_counts_them_and_goes_on():
    mixer, stream = serving(0.5)
    assert len(stream.read().near) == 8 * BLOCK
    for number in range(100):
        mixer.block(np.full((BLOCK, 1), np.float32(number / 32768)))
    stream.read()  # notices that the recording ended, and begins another
    mixer.block(np.full((BLOCK, 1), np.float32(555 / 32768)))
    captured = stream.read()
    assert captured.near[:, 0].tolist() == [555] * BLOCK
    assert captured.lost == 100 * BLOCK
    assert stream.overflows == 100


def test_the_devices_flags_are_counted(monkeypatch):
    mixer, stream = serving()
    mixer.block(np.zeros((BLOCK, 1)), overflow=True)
    for _ in range(3):
        mixer.block(np.zeros((BLOCK, 1)), underflow=True)
    stream._asked -= 1
    stream.read()
    mixer.block(np.zeros((BLOCK, 1)))
    stream.read()
    assert (stream.overflows, stream.underruns) == (1, 3)
