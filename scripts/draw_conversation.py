"""Draw a recorded conversation as SVG: two waveforms, what was said, tools and interruptions.

    duologue chat --say "..." --barge-in 2 --json --output talk.wav > talk.jsonl
    python scripts/draw_conversation.py talk.wav talk.jsonl talk.svg

The picture in the README is made so.
"""

from __future__ import annotations

import array
import html
import json
import sys
import textwrap
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT = 860, 70, 16
LANES = {"user": 92, "assistant": 226}
COLOURS = {"user": "#2b6cb0", "assistant": "#4051b5"}
HEIGHT, AMPLITUDE = 330, 44
FONT = 'font-family="system-ui, sans-serif"'
LETTER = 6.0
"""Width of a letter of the captions, about."""


@dataclass
class Caption:
    """What one side said, or did, from a moment on."""

    role: str
    at: float
    text: str


def envelope(file: Path, columns: int) -> tuple[float, dict[str, list[int]]]:
    """Return the length in seconds and, for each side, the peak of each column."""
    with wave.open(str(file), "rb") as sound:
        if sound.getnchannels() != 2 or sound.getsampwidth() != 2:
            raise SystemExit(f"{file} is no stereo recording of `duologue chat --output`")
        rate = sound.getframerate()
        samples = array.array("h", sound.readframes(sound.getnframes()))
    if sys.byteorder == "big":
        samples.byteswap()
    # Without the silence at the end, but for a second of it.
    last = next((number for number in range(len(samples) - 1, 0, -1) if abs(samples[number]) > 100), 0)
    frames = min(len(samples) // 2, last // 2 + 1 + rate)
    step = max(1, frames // columns)
    sides = {
        role: [
            max(map(abs, samples[2 * start + channel : 2 * (start + step) : 2]), default=0)
            for start in range(0, frames, step)
        ]
        for channel, role in enumerate(LANES)
    }
    return frames / rate, sides


def captions(lines: list[dict[str, Any]]) -> tuple[list[Caption], list[float]]:
    """Return what was said, by whom and when, and the moments of the interruptions."""
    heard = iter(lines[-1]["assistant"])
    said: dict[str, Caption] = {}
    cuts: list[float] = []
    for line in lines[:-1]:
        if line["event"] == "TranscriptDelta":
            caption = said.get(line["item_id"])
            if caption is None:
                at = line["t"] if line["started_at"] is None else line["started_at"]
                caption = said[line["item_id"]] = Caption(line["role"], at, "")
                if line["role"] == "assistant":
                    caption.text = next(heard, "")  # the summary has what was heard of it
            if line["role"] == "user":
                caption.text += line["delta"]
        elif line["event"] == "ToolResult":
            said[line["tool_use_id"]] = Caption("tool", line["t"], f"{line['name']}: {line['content']}")
        elif line["event"] == "Interrupted":
            cuts.append(line["t"])
    return sorted(said.values(), key=lambda caption: caption.at), cuts


def draw(seconds: float, sides: dict[str, list[int]], spoken: list[Caption], cuts: list[float]) -> str:
    """Return the picture."""
    scale = (WIDTH - LEFT - RIGHT) / seconds

    def x(at: float) -> float:
        return LEFT + at * scale

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="11" {FONT}>',
        "<title>A recorded conversation: you above, the agent below</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="#f8f9fb"/>',
    ]
    for second in range(0, int(seconds) + 1, 1 if seconds < 15 else 2):
        parts.append(f'<path d="M{x(second):.1f} 24V{HEIGHT - 26}" stroke="#e2e8f0"/>')
        parts.append(
            f'<text x="{x(second):.1f}" y="{HEIGHT - 10}" fill="#718096" text-anchor="middle">{second} s</text>'
        )
    for role, middle in LANES.items():
        name = "you" if role == "user" else "agent"
        parts.append(
            f'<text x="16" y="{middle + 4}" font-weight="700" font-size="14" fill="{COLOURS[role]}">{name}</text>'
        )
        parts.append(waveform(sides[role], middle, COLOURS[role]))
    for cut in cuts:
        line = f"M{x(cut):.1f} 24V{HEIGHT - 26}"
        parts.append(f'<path d="{line}" stroke="#c53030" stroke-width="1.5" stroke-dasharray="5 3"/>')
        parts.append(f'<text x="{x(cut) + 5:.1f}" y="36" fill="#c53030">cut in</text>')
    for number, caption in enumerate(spoken):
        same = [other.at for other in spoken[number + 1 :] if other.role == caption.role]
        room = x(min(same, default=seconds)) - x(caption.at) - 8
        parts += written(caption, x(caption.at), room)
    return "\n".join([*parts, "</svg>"]) + "\n"


def waveform(peaks: list[int], middle: int, colour: str) -> str:
    """Return one side's sound as a path."""
    loudest = max(*peaks, 1)
    step = (WIDTH - LEFT - RIGHT) / len(peaks)
    strokes = []
    for number, peak in enumerate(peaks):
        reach = peak / loudest * AMPLITUDE
        if reach > 0.5:
            strokes.append(f"M{LEFT + number * step:.1f} {middle - reach:.1f}V{middle + reach:.1f}")
    flat = f"M{LEFT} {middle}H{WIDTH - RIGHT}"
    return f'<path d="{flat}{"".join(strokes)}" stroke="{colour}" stroke-width="1.4" fill="none"/>'


def written(caption: Caption, at: float, room: float) -> list[str]:
    """Return a caption in lines that fit beside the next one."""
    top = {"user": 152, "tool": 172, "assistant": 286}[caption.role]
    colour = "#2f855a" if caption.role == "tool" else "#1a202c"
    lines = textwrap.wrap(
        caption.text, max(8, int(min(room, WIDTH - RIGHT - at) / LETTER)), max_lines=2, placeholder=" …"
    )
    return [
        f'<text x="{at:.1f}" y="{top + 13 * number}" fill="{colour}">{html.escape(line)}</text>'
        for number, line in enumerate(lines)
    ]


def main() -> None:
    """Read a recording and its events, write the picture."""
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} WAV JSONL SVG")
    sound, events, picture = map(Path, sys.argv[1:])
    seconds, sides = envelope(sound, (WIDTH - LEFT - RIGHT) // 2)
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    picture.write_text(draw(seconds, sides, *captions(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
