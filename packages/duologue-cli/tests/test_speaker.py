import struct

from duologue_cli.speaker import REMEMBERED, Position, VirtualSpeaker
from hypothesis import given
from hypothesis import strategies as st


def pcm(*samples):
    return struct.pack(f"<{len(samples)}h", *samples)


class Model:
    """The same speaker, one frame at a time."""

    def __init__(self):
        self.frames = {}  # frame -> (sample, response)
        self.end = 0

    def feed(self, samples, response, now):
        start = max(self.end, now)
        for at, sample in enumerate(samples, start):
            self.frames[at] = (sample, response)
        self.end = start + len(samples) if samples else self.end

    def stop(self, now):
        self.frames = {at: what for at, what in self.frames.items() if at < now}
        self.end = min(self.end, now)

    def heard(self, response, now):
        return sum(1 for at, (_, r) in self.frames.items() if at < now and r == response)


steps = st.lists(
    st.tuples(
        st.integers(0, 6), st.sampled_from(["feed", "collect", "stop"]), st.integers(0, 9), st.sampled_from("abc")
    ),
    max_size=40,
)


@given(steps)
def test_ledger_agrees_with_a_speaker_that_counts_frames(moves):
    speaker, model = VirtualSpeaker(1000, limit_s=900), Model()  # 1000 Hz: a frame is a millisecond
    now = value = 0
    sounded = {}
    for advance, what, length, response in moves:
        now += advance
        if what == "feed":
            samples = [(value := value + 1) for _ in range(length)]
            speaker.feed(pcm(*samples), response, now)
            model.feed(samples, response, now)
        elif what == "collect":
            pieces = speaker.collect(now)
        else:
            pieces = speaker.stop(now)
            model.stop(now)
        if what != "feed":
            for piece in pieces:
                for at, sample in enumerate(struct.unpack(f"<{len(piece.pcm) // 2}h", piece.pcm), piece.frame):
                    assert at not in sounded
                    sounded[at] = sample
            assert sounded == {at: sample for at, (sample, _) in model.frames.items() if at < now}
        assert speaker.playing(now) == (model.end > now)
        for name in "abc":
            assert speaker.heard_ms(name, now) == model.heard(name, now)
            assert speaker.holds(name) == any(r == name for at, (_, r) in model.frames.items() if at not in sounded)
        before = [r for at, (_, r) in sorted(model.frames.items()) if at < now]
        if before:
            position = speaker.position(now)
            assert position.heard_ms == model.heard(position.response_id, now)
            if model.end > now and now in model.frames and now - 1 in model.frames:
                assert position.response_id in (before[-1], model.frames[now][1])


def test_a_reply_that_has_just_begun_is_what_plays():
    speaker = VirtualSpeaker(1000, limit_s=900)
    speaker.feed(pcm(*range(10)), "first", 0)
    speaker.collect(10)
    speaker.feed(pcm(*range(10)), "second", 20)
    position = speaker.position(20)
    assert (position.response_id, position.heard_ms) == ("second", 0)


def test_what_was_played_to_its_end_is_still_known():
    speaker = VirtualSpeaker(1000, limit_s=900)
    speaker.feed(pcm(*range(10)), "r", 0)
    speaker.collect(10)
    assert speaker.position(50) == Position("r", 10)


def test_silence_between_pieces_is_not_heard():
    speaker = VirtualSpeaker(1000, limit_s=900)
    assert speaker.feed(pcm(1, 2), "r", 0) == 0
    assert speaker.feed(pcm(3, 4), "r", 100) == 100
    assert speaker.heard_ms("r", 1000) == 4


def test_a_full_queue_refuses_until_stopped():
    speaker = VirtualSpeaker(1000, limit_s=0.01)
    assert speaker.feed(bytes(2 * 11), "r", 0) == 0
    assert speaker.feed(bytes(2), "r", 0) is None
    assert speaker.end == 11
    speaker.stop(0)
    assert speaker.feed(bytes(2), "r", 0) == 0


def test_only_the_newest_responses_are_remembered():
    speaker = VirtualSpeaker(1000, limit_s=900)
    for number in range(REMEMBERED + 5):
        speaker.feed(pcm(1), str(number), number)
        speaker.collect(number + 1)
    assert speaker.heard_ms("4", 10_000) == 0
    assert speaker.heard_ms("5", 10_000) == 1
    for number, name in enumerate(("5", "new", "newer"), 10_000):  # the oldest speaks again
        speaker.feed(pcm(1), name, number)
        speaker.collect(number + 1)
    assert speaker.heard_ms("5", 20_000) == 2


def test_an_empty_piece_changes_nothing():
    speaker = VirtualSpeaker(1000, limit_s=900)
    speaker.feed(b"", "r", 5)
    assert speaker.position(9).response_id == ""
    assert not speaker.playing(5)
