"""The codec tells the story of the experimental decoder, frame by frame."""

import json
import sys
from pathlib import Path

import pytest
from duologue_google import GeminiCodec, SessionPlan

CORE_TESTS = Path(__file__).parents[2] / "duologue" / "tests"


@pytest.fixture
def decoder(monkeypatch):
    monkeypatch.syspath_prepend(str(CORE_TESTS))
    for name in [name for name in sys.modules if name.split(".")[0] == "wire"]:
        monkeypatch.delitem(sys.modules, name)
    from wire.decoders import GeminiDecoder

    return GeminiDecoder()


@pytest.mark.parametrize("spelled", [lambda frame: json.dumps(frame), lambda frame: json.dumps(frame).encode()])
def test_the_same_frames_give_the_same_events(decoder, spelled):
    codec = GeminiCodec(SessionPlan(setup={}))
    lines = (CORE_TESTS / "wire" / "gemini.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    frames = [line["frame"] for line in map(json.loads, lines) if line["dir"] == "in"]
    assert len(frames) > 20
    for frame in frames:
        assert codec.decode(spelled(frame)) == decoder.decode(frame), frame
    assert codec.handle == "h-51c0"
