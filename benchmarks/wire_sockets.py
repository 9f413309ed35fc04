"""The sockets alone: what it costs to have a message as `str` or `bytes`, nothing decoded. Called by `wire.py`."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from duologue.wire import Endpoint
from duologue.wire.picows_link import open_picows_link
from duologue.wire.websockets_link import open_websockets_link
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from websockets.asyncio.client import connect
from wire_kit import EVERY, FLOOD, PACED, ROUNDS, Table
from wire_peer import Script, Server
from wire_reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue.wire.codec import Frame
    from duologue.wire.link import LinkEnd, OpenLink

HELLO = '{"type":"hello"}'


class Counter:
    """Counts messages; a listener of links, too."""

    def __init__(self, count: int) -> None:
        self._left = count + 1  # and the welcome
        self._began = 0.0
        self.took: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def frame(self, frame: Frame | bytes) -> None:
        if not self._began:
            self._began = time.process_time()
        self._left -= 1
        if not self._left:
            self.took.set_result(time.process_time() - self._began)

    def writable(self) -> None: ...

    def ended(self, end: LinkEnd) -> None: ...


async def websockets(url: str, count: int) -> float:
    async with connect(url, compression=None, ping_interval=None, proxy=None, max_size=None) as socket:
        await socket.send(HELLO)
        counter = Counter(count)
        async for frame in socket:
            counter.frame(frame)
            if counter.took.done():
                break
        return await counter.took


async def picows(url: str, count: int) -> float:
    counter = Counter(count)

    class Listener(WSListener):  # type: ignore[misc,unused-ignore] # the base class is compiled
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            counter.frame(frame.get_payload_as_utf8_text())

    transport, _ = await ws_connect(Listener, url, enable_auto_ping=False)
    transport.send(WSMsgType.TEXT, HELLO.encode())
    took = await counter.took
    transport.disconnect()
    await transport.wait_disconnected()
    return took


async def reader(url: str, count: int) -> float:
    counter = Counter(count)
    socket = await open_reader(url, counter.frame)
    socket.send(HELLO)
    took = await counter.took
    socket.transport.abort()
    await socket.lost
    return took


def link(opens: OpenLink) -> Callable[[str, int], Awaitable[float]]:
    async def over_link(url: str, count: int) -> float:
        opened = await opens(Endpoint(url, proxy=None), 5.0)
        counter = Counter(count)
        opened.start(counter)
        opened.send(HELLO)
        took = await counter.took
        await opened.close(1.0)
        return took

    return over_link


SOCKETS: dict[str, Callable[[str, int], Awaitable[float]]] = {
    "websockets": websockets,
    "WebSocketsLink": link(open_websockets_link),
    "picows": picows,
    "PicowsLink": link(open_picows_link),
    "own reader": reader,
}


def compare_sockets(script: Script) -> Table:
    """Measure every socket in interleaved rounds; medians of µs of CPU for each message."""
    found: dict[str, dict[str, list[float]]] = {}
    runs = {"socket, flood, µs/msg": ("flood", FLOOD, 0.0), "socket, paced, µs/msg": ("paced", PACED, EVERY)}
    with Server(script) as server:
        for _ in range(ROUNDS):
            for measure, (mode, count, every) in runs.items():
                for name, socket in SOCKETS.items():
                    server.plays(mode, count, every)

                    async def run(socket: Callable[[str, int], Awaitable[float]] = socket, count: int = count) -> float:
                        return await socket(server.url, count)

                    value = asyncio.run(run()) / count * 1e6
                    found.setdefault(measure, {}).setdefault(name, []).append(value)
    return {measure: {n: statistics.median(v) for n, v in values.items()} for measure, values in found.items()}
