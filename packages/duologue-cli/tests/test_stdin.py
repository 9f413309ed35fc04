import contextlib
import os
import time

import pytest
from duologue_cli.stdin import LONGEST, LineReader


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        with contextlib.suppress(OSError):
            os.close(end)


def drain(reader):
    """Poll until the input has ended."""
    lines, until = [], time.monotonic() + 10
    while not reader.ended and time.monotonic() < until:
        line = reader.poll()
        if line is not None:
            lines.append(line)
        else:
            time.sleep(0.001)
    assert reader.ended
    return lines


def test_lines_come_whole_without_blank_ones_and_the_last_needs_no_end(pipe):
    read, write = pipe
    reader = LineReader(read)
    for piece in ("Hé".encode()[:2], "Hé".encode()[2:], b"llo\r\n\n  \nsec", b"ond\nthird"):
        os.write(write, piece)
    os.close(write)
    assert drain(reader) == ["Héllo", "second", "third"]
    assert reader.poll() is None


def test_nothing_is_waited_for(pipe):
    read, write = pipe
    reader = LineReader(read)
    assert reader.poll() is None
    assert not reader.ended
    os.close(write)
    assert drain(reader) == []  # or its thread would read from the next test's pipe


def test_a_line_beyond_the_limit_is_several_and_nothing_is_lost(pipe):
    read, write = pipe
    reader = LineReader(read)
    text = b"x" * (LONGEST + 10)
    sent = 0
    lines = []
    while sent < len(text):
        sent += os.write(write, text[sent : sent + 4096])
    os.close(write)
    lines = drain(reader)
    assert "".join(lines) == text.decode()
    assert max(map(len, lines)) <= LONGEST


def test_a_closed_input_is_an_ended_one(pipe):
    read, _ = pipe
    os.close(read)
    assert drain(LineReader(read)) == []
