"""The rings between audio thread and event loop: nothing doubled, nothing torn, every loss counted."""

import numpy as np
from duologue_audio.ring import PairRing, PlayRing
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

CAPACITY = 7


class PlayRingMachine(RuleBasedStateMachine):
    """A play ring beside a plain list that does the same."""

    def __init__(self):
        super().__init__()
        self.ring = PlayRing(CAPACITY, 1)
        self.model: list[int] = []
        self.cleared = 0  # frames that were dropped and not yet passed by the audio thread
        self.next = 1

    @rule(count=st.integers(0, 10))
    def write(self, count):
        samples = np.arange(self.next, self.next + count, dtype=np.int16)[:, None]
        room = CAPACITY - len(self.model) - self.cleared
        taken = self.ring.write(samples)
        assert taken == min(count, room)
        self.model += samples[:taken, 0].tolist()
        self.next += taken

    @rule()
    def clear(self):
        self.ring.clear()
        self.cleared += len(self.model)
        self.model.clear()

    @rule(size=st.integers(1, 5))
    def take(self, size):
        out = np.full((size, 1), -1, np.int16)
        first, count = self.ring.take(out)
        expected, self.model = self.model[:size], self.model[size:]
        self.cleared = 0
        assert out[:, 0].tolist() == expected + [0] * (size - len(expected))
        assert count == len(expected)
        assert first + count == self.ring.written - len(self.model)

    @invariant()
    def says_what_waits(self):
        assert self.ring.waiting == len(self.model)
        assert self.ring.rest()[:, 0].tolist() == self.model


TestPlayRing = PlayRingMachine.TestCase


def push(ring: PairRing, number: int) -> None:
    near = np.full((ring.block, 1), number, np.int16)
    ring.push(near, -near, at=float(number), first=number * 10, frames=number)


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(2, 5))
def test_blocks_are_read_in_order_as_pairs_and_the_oldest_are_lost_first(pushes, capacity):
    ring = PairRing(capacity, 2, 1, 1)
    number = expected = 0
    for count in pushes:
        for _ in range(count):
            push(ring, number)
            number += 1
        captured = ring.read()
        kept = min(count, capacity - 1)
        assert captured.lost == (count - kept) * ring.block
        expected = number - kept
        assert captured.near[:, 0].tolist() == [n for n in range(expected, number) for _ in range(2)]
        assert (captured.far == -captured.near).all()
        assert captured.blocks == [(float(n), n * 10, n) for n in range(expected, number)]


class Overtaken(PairRing):
    """A ring whose audio thread writes on while the loop copies."""

    meanwhile = 0
    number = 0

    def _copy(self, index):
        half = self.meanwhile // 2
        for _ in range(half):
            push(self, self.number)
            self.number += 1
        copied = tuple(part.copy() for part in super()._copy(index))
        for _ in range(self.meanwhile - half):
            push(self, self.number)
            self.number += 1
        return copied


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=10))
def test_a_block_written_over_while_it_was_copied_is_dropped_and_counted(steps):
    ring = Overtaken(4, 2, 1, 1)
    seen = lost = 0
    for before, meanwhile in steps:
        for _ in range(before):
            push(ring, ring.number)
            ring.number += 1
        ring.meanwhile = meanwhile
        captured = ring.read()
        numbers = [block.frames for block in captured.blocks]
        assert captured.near[:, 0].tolist() == [n for n in numbers for _ in range(2)]
        lost += captured.lost // 2
        for number in numbers:
            assert number == seen + lost
            seen += 1
    ring.meanwhile = 0
    captured = ring.read()
    assert seen + lost + len(captured.blocks) + captured.lost // 2 == ring.number
