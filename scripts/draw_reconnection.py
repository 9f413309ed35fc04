"""Draw a switch of connections as SVG, from a session that really made one.

    python scripts/draw_reconnection.py docs/assets/reconnection.svg

The session runs against a `WireServer` on virtual time; what is drawn is what happened.
"""

from __future__ import annotations

import asyncio
import html
import sys
from dataclasses import dataclass, field
from pathlib import Path

from duologue import AudioBlock, AudioOutputDelta, GoingAway, RealtimeAgent, Reconnected, Reconnecting, TextBlock
from duologue.tasks import TaskSet
from duologue.testing import Peer, StandIn, VirtualClock, WireServer
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.wire import LinkPolicy

WIDTH, LEFT, RIGHT, HEIGHT = 860, 118, 24, 316
LANES = {"user speaks": 88, "connection 1": 140, "connection 2": 186, "agent speaks": 238}
COLOURS = {"user speaks": "#2b6cb0", "connection 1": "#718096", "connection 2": "#2f855a", "agent speaks": "#4051b5"}
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
HANDSHAKE = 1.0
LOUD = b"\x10\x27" * 320
BLOCK_S = 0.02


@dataclass
class Story:
    """What happened: bars on lanes, and notes at moments."""

    bars: list[tuple[str, float, float, str]] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)


async def live(story: Story) -> None:
    """Hold the conversation that is drawn: a reply, a notice in the middle of it, a user who speaks meanwhile."""
    now = asyncio.get_running_loop().time
    model = StandIn(pace=0.08)

    async def brain(peer: Peer) -> None:
        opened = now()
        story.bars.append((f"connection {peer.number}", opened - HANDSHAKE, opened, "handshake"))
        try:
            await model(peer)
        finally:
            story.bars.append((f"connection {peer.number}", opened, now(), ""))

    policy = lambda: LinkPolicy(overlap=True, chance=lambda: 0.0)  # noqa: E731
    async with WireServer(ToyServerCodec, brain, accept_after=HANDSHAKE) as server:
        transport = ToyTransport(server.url, policy=policy)
        async with RealtimeAgent("", transport) as agent:
            speech: list[float] = []
            leaving = asyncio.Event()

            async def read() -> None:
                async for event in agent.events():
                    match event:
                        case AudioOutputDelta():
                            speech.append(now())
                        case GoingAway(seconds_left=left):
                            story.notes.append((now(), f"GoingAway({left:g} s)"))
                        case Reconnecting():
                            story.notes.append((now(), "Reconnecting: nobody speaks"))
                            leaving.set()
                        case Reconnected(gap=gap):
                            story.notes.append((now(), f"Reconnected, gap {gap:g} s"))

            reading = TaskSet().start(read(), "reading")
            await agent.send(TextBlock("story 30"))
            await asyncio.sleep(1.0)
            await server.peer.send(GoingAway(30))
            await leaving.wait()
            await asyncio.sleep(0.5)
            began = now()
            for number in range(110):
                await agent.send(AudioBlock(LOUD if number < 60 else bytes(640)))
                await asyncio.sleep(BLOCK_S)
            story.bars.append(("user speaks", began, began + 60 * BLOCK_S, ""))
            await asyncio.sleep(1.0)
            heard = sum(map(len, model.memory.heard)) / 32000
            story.notes.append((began + 60 * BLOCK_S, f"heard whole by connection 2 ({heard - 0.2:.1f} s)"))
            await agent.close()
            await reading
            story.bars += [("agent speaks", at, at + 0.085, "") for at in speech]


def draw(story: Story) -> str:
    """Return the picture."""
    first = min(start for _, start, _, _ in story.bars)
    last = max(end for _, _, end, _ in story.bars)
    scale = (WIDTH - LEFT - RIGHT) / (last - first)

    def x(at: float) -> float:
        return LEFT + (at - first) * scale

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for lane, y in LANES.items():
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end" fill="#2d3748">{lane}</text>')
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#e2e8f0"/>')
    for lane, start, end, label in story.bars:
        y, colour = LANES[lane], COLOURS[lane]
        style = f'fill="none" stroke="{colour}" stroke-dasharray="3 3"' if label else f'fill="{colour}"'
        width = max(1.0, x(end) - x(start))
        parts.append(f'<rect x="{x(start):.1f}" y="{y - 9}" width="{width:.1f}" height="18" {style}/>')
        if label:
            parts.append(f'<text x="{x(start) + 4:.1f}" y="{y + 4}" fill="{colour}" font-size="10">{label}</text>')
    for row, (at, note) in enumerate(sorted(story.notes)):
        y = 16 + 15 * (row % 4)
        anchor = "end" if x(at) > WIDTH * 0.62 else "start"
        shift = -5 if anchor == "end" else 5
        parts.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{y - 8}" y2="{HEIGHT - 46}" stroke="#c53030"/>')
        parts.append(
            f'<text x="{x(at) + shift:.1f}" y="{y}" text-anchor="{anchor}" fill="#c53030">{html.escape(note)}</text>'
        )
    for second in range(int(first), int(last) + 1):
        if second >= first:
            parts.append(f'<line x1="{x(second):.1f}" x2="{x(second):.1f}" y1="270" y2="275" stroke="#718096"/>')
            parts.append(f'<text x="{x(second):.1f}" y="288" text-anchor="middle" fill="#718096">{second} s</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Run the session and write the picture."""
    story = Story()
    VirtualClock().run(live(story))
    Path(sys.argv[1]).write_text(draw(story), encoding="utf-8")


if __name__ == "__main__":
    main()
