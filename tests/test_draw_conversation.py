"""The picture of a recorded conversation: what was heard, at the time it was heard."""

import array
import json
import re
import wave
from pathlib import Path
from xml.etree import ElementTree

import pytest

RATE = 8000


@pytest.fixture
def drawing(script):
    return script("draw_conversation")


def recorded(path: Path, seconds: float, *, user: tuple[float, float], agent: tuple[float, float]) -> None:
    """Write a recording in which each side makes a sound from one second to another."""
    samples = array.array("h")
    for frame in range(int(seconds * RATE)):
        at = frame / RATE
        samples.append(9000 if user[0] <= at < user[1] else 0)
        samples.append(9000 if agent[0] <= at < agent[1] else 0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def said(role: str, delta: str, item_id: str, at: float | None, t: float) -> dict:
    return {
        "t": t,
        "event": "TranscriptDelta",
        "role": role,
        "delta": delta,
        "final": False,
        "item_id": item_id,
        "started_at": at,
    }


LINES = [
    said("user", "What time ", "u1", 0.0, 1.2),
    said("user", "is it?", "u1", 0.0, 1.2),
    {"t": 1.5, "event": "ToolResult", "tool_use_id": "c1", "name": "get_time", "content": "noon"},
    said("assistant", "It is noon & I would go on", "a1", None, 2.0),
    {"t": 3.0, "event": "Interrupted", "response_id": "r1", "heard_ms": 1000},
    {"event": "summary", "assistant": ["It is noon & I"]},
]


def test_each_side_is_drawn_where_it_sounded_and_silence_at_the_end_is_left_out(drawing, tmp_path):
    recorded(tmp_path / "talk.wav", 9, user=(0, 1), agent=(2, 3))
    seconds, sides = drawing.envelope(tmp_path / "talk.wav", columns=80)
    assert seconds == pytest.approx(4, abs=0.01)
    assert [number for number, peak in enumerate(sides["user"]) if peak][-1] == 19
    assert [number for number, peak in enumerate(sides["assistant"]) if peak] == list(range(40, 60))


def test_captions_hold_what_was_heard_and_when(drawing):
    spoken, cuts = drawing.captions(LINES)
    assert [(c.role, c.at, c.text) for c in spoken] == [
        ("user", 0.0, "What time is it?"),
        ("tool", 1.5, "get_time: noon"),
        ("assistant", 2.0, "It is noon & I"),
    ]
    assert cuts == [3.0]


def test_the_command_writes_a_picture(drawing, tmp_path, monkeypatch):
    recorded(tmp_path / "talk.wav", 5, user=(0, 1), agent=(2, 3))
    (tmp_path / "talk.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    files = [str(tmp_path / f"talk.{kind}") for kind in ("wav", "jsonl", "svg")]
    monkeypatch.setattr("sys.argv", ["draw", *files])
    drawing.main()
    picture = (tmp_path / "talk.svg").read_text()
    ElementTree.fromstring(picture)
    assert "It is noon &amp; I<" in picture
    [cut] = re.findall(r"M([\d.]+) 24V\d+. stroke=.#c53030", picture)
    assert float(cut) == pytest.approx(drawing.LEFT + 3 / 4 * (drawing.WIDTH - drawing.LEFT - drawing.RIGHT), abs=1)


def test_another_file_is_refused(drawing, tmp_path):
    with wave.open(str(tmp_path / "mono.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
    with pytest.raises(SystemExit, match="no stereo recording"):
        drawing.envelope(tmp_path / "mono.wav", columns=10)
