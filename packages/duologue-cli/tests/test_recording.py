import io
import os
import struct
import wave
from pathlib import Path

import pytest
from duologue.errors import ConfigurationError
from duologue_cli.recording import Timeline, WavWriter
from hypothesis import given
from hypothesis import strategies as st


def pcm(*samples):
    return struct.pack(f"<{len(samples)}h", *samples)


def stereo(data):
    values = struct.unpack(f"<{len(data) // 2}h", data)
    return list(values[0::2]), list(values[1::2])


moves = st.one_of(
    st.tuples(st.just("place"), st.integers(0, 1), st.integers(0, 12), st.integers(0, 9)),
    st.tuples(st.just("take"), st.just(0), st.integers(0, 12), st.just(0)),
)


@given(st.lists(moves, max_size=30))
def test_every_sample_is_where_it_was_placed(steps):
    timeline = Timeline()
    wanted = ({}, {})
    ends = [0, 0]
    taken = value = 0
    left, right = [], []
    for kind, channel, offset, length in steps:
        if kind == "place":
            frame = max(0, ends[channel] + offset - 4)  # may overlap what is there, or leave a gap
            samples = [(value := (value + 9973) % 30000 + 1) for _ in range(length)]
            timeline.place(channel, frame, pcm(*samples))
            for at, sample in enumerate(samples, frame):
                if at >= max(ends[channel], taken):
                    wanted[channel][at] = sample
            if samples:
                ends[channel] = max(ends[channel], frame + length)
        else:
            taken += offset
            one, two = stereo(timeline.take(taken))
            left += one
            right += two
            ends = [max(end, taken) for end in ends]
    assert timeline.take(taken - 5) == b""
    assert left == [wanted[0].get(at, 0) for at in range(taken)]
    assert right == [wanted[1].get(at, 0) for at in range(taken)]


def test_the_file_is_valid_at_every_moment(tmp_path: Path):
    path = tmp_path / "out.wav"
    writer = WavWriter(path, 100)
    writer.begin()
    with wave.open(str(path)) as file:
        assert file.getnframes() == 0
    writer.write(pcm(*range(200)))
    with wave.open(io.BytesIO(path.read_bytes())) as file:  # what a killed process leaves behind
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (2, 2, 100, 100)
        assert file.readframes(100) == pcm(*range(200))
    writer.write(pcm(7, 8))
    writer.close()
    writer.close()
    with wave.open(str(path)) as file:
        assert file.getnframes() == 101
    assert path.stat().st_size == 44 + 404
    assert struct.unpack_from("<I", path.read_bytes(), 4) == (path.stat().st_size - 8,)


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"nowhere.*can't be written"):
        WavWriter(tmp_path / "nowhere" / "out.wav", 24000)


def test_what_does_not_fit_a_wav_file_is_left_out(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("duologue_cli.recording._MAX_DATA", 10)
    writer = WavWriter(tmp_path / "out.wav", 24000)
    writer.begin()
    writer.write(pcm(1, 2))
    writer.write(pcm(3, 4, 5, 6))
    writer.write(pcm(7, 8))
    writer.close()
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert file.readframes(9) == pcm(1, 2, 3, 4)


def test_a_conversation_that_never_begins_leaves_the_disk_as_it_was(tmp_path: Path):
    old, new = tmp_path / "old.wav", tmp_path / "new.wav"
    old.write_bytes(b"last week's recording")
    for path in (old, new):
        writer = WavWriter(path, 24000)
        writer.close()
    assert old.read_bytes() == b"last week's recording"
    assert not new.exists()


def test_a_longer_file_of_that_name_is_replaced_whole(tmp_path: Path):
    path = tmp_path / "old.wav"
    path.write_bytes(bytes(1000))
    writer = WavWriter(path, 24000)
    writer.begin()
    writer.close()
    assert path.stat().st_size == 44


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="can't be written"):
        WavWriter(tmp_path / "pipe", 24000)


@pytest.mark.skipif(os.name == "nt", reason="the name of the device is another")
def test_a_device_is_refused():
    writer = WavWriter(Path(os.devnull), 24000)
    with pytest.raises(ConfigurationError, match="can't be written"):
        writer.begin()
    writer.close()
