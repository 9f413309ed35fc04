"""What a session takes in memory: the growth of a fresh process while it opens sessions that hear. Linux only."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING

from wire_kit import CLIENTS, Table, only_websockets
from wire_peer import Server

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from wire_kit import Client, Provider

FIRST, MORE = 5, 50
"""Sessions before the first look, so that code and pools are there, and between the two looks."""
HEARD = 25


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _weigh(module: str, provider: str, name: str, url: str, report: Connection) -> None:
    kind, fast = CLIENTS[name]
    described: Provider = getattr(importlib.import_module(module), provider)

    async def grow() -> float:
        clients: list[Client] = []
        before = 0
        for number in range(FIRST + MORE):
            if number == FIRST:
                before = resident()
            clients.append(kind(described, url))
            await clients[-1].__aenter__()
            await clients[-1].hear(HEARD)
        grown = resident() - before
        for client in clients:
            await client.__aexit__()
        return grown / MORE / 1024

    if fast:
        report.send(asyncio.run(grow()))
    else:
        with only_websockets():
            report.send(asyncio.run(grow()))


def weigh(module: str, provider: str) -> Table:
    """KiB for each session, by client; the provider is named, as each client gets a process of its own."""
    described: Provider = getattr(importlib.import_module(module), provider)
    context = multiprocessing.get_context("spawn")
    found = {}
    with Server(described.script) as server:
        for name in CLIENTS:
            server.plays("flood", HEARD)
            ours, theirs = context.Pipe()
            process = context.Process(target=_weigh, args=(module, provider, name, server.url, theirs))
            process.start()
            found[name] = float(ours.recv()) if ours.poll(60) else float("nan")
            process.join()
    return {"memory, KiB a session": found}
