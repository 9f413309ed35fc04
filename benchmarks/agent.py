"""What the agent costs per piece of speech: session to application, with nothing else in between.

Compares `RealtimeAgent.events()` with reading the session directly, for named and nameless replies, when the
application keeps up (one piece at a time) and when it takes a backlog. Process CPU time, interleaved rounds,
medians. Prints a table and writes `benchmarks/results/agent.json`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duologue import AudioOutputDelta, Capabilities, RealtimeAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIECES = 20_000
PCM = bytes(1920)  # 40 ms at 24 kHz
ROUNDS = 5


class Flood:
    """A session that speaks as fast as it is read; `pace` lets the application run after each piece."""

    capabilities = Capabilities()

    def __init__(self, response_id: str, pace: bool) -> None:
        self._response_id = response_id
        self._pace = pace

    async def connect(self, **_: Any) -> Flood:
        return self

    async def events(self) -> AsyncIterator[AudioOutputDelta]:
        for _ in range(PIECES):
            yield AudioOutputDelta(PCM, response_id=self._response_id)
            if self._pace:
                await asyncio.sleep(0)

    async def send(self, content: Any) -> None: ...

    async def commit(self) -> None: ...

    async def interrupt(self) -> None: ...

    async def send_tool_result(self, *_: Any) -> None: ...

    async def close(self) -> None: ...


async def direct(session: Flood) -> None:
    async for _ in session.events():
        pass


async def through_agent(session: Flood) -> None:
    async with RealtimeAgent("", session) as agent:
        async for _ in agent.events():
            pass


def measure(what: Any, response_id: str, pace: bool) -> float:
    began = time.process_time()
    asyncio.run(what(Flood(response_id, pace)))
    return (time.process_time() - began) / PIECES * 1e6


def main() -> None:
    cases = [(pace, name) for pace in (False, True) for name in ("r1", "")]
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for pace, name in cases:
            for what in (direct, through_agent):
                key = f"{'one by one' if pace else 'backlog'}, {'named' if name else 'nameless'}, {what.__name__}"
                found.setdefault(key, []).append(measure(what, name, pace))
    table = {key: round(statistics.median(values), 2) for key, values in found.items()}
    print(f"{'µs of CPU per piece of 40 ms':<45} median of {ROUNDS}")
    for key, value in table.items():
        print(f"{key:<45} {value:>8.2f}")
    results = Path(__file__).with_name("results")
    results.mkdir(exist_ok=True)
    (results / "agent.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
