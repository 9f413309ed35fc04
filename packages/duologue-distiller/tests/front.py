"""The HTTP side of a Distiller server, in front of a `WireServer`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from urllib.parse import urlsplit

from duologue.testing import WireServer
from duologue_distiller import DistillerServerCodec


class Front:
    """Answers the requests for accounts and projects, and passes sockets on.

    `failing` gives paths other answers; `requests` is what came: (path, headers, body).
    """

    def __init__(self, server: WireServer) -> None:
        self.server = server
        self.requests = []
        self.sockets = []
        self.projects = {}
        self.failing = {}
        self.url = ""
        self._tasks = set()

    async def __aenter__(self):
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)  # sockets that were cut are closed in the next round of the loop

    def paths(self):
        return [path for path, _, _ in self.requests]

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *fields = head.decode().split("\r\n")[:-2]
                headers = {k.lower(): v.strip() for k, _, v in (f.partition(":") for f in fields)}
                path = line.split()[1]
                if "upgrade" in headers:
                    self.sockets.append((path, headers))
                    await self._tunnel(head, reader, writer)
                    return
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((path, headers, json.loads(body) if body[:1] == b"{" else body))
                status, answer = self._answer(path, self.requests[-1][2])
                text = answer if isinstance(answer, str) else json.dumps(answer)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        except (OSError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            self._tasks.discard(task)

    def _answer(self, path, body):
        if path in self.failing:
            return self.failing[path]
        if path == "/authentication/validate":
            return 200, {"organization_id": "org"}
        if path == "/distiller/create":
            versions = self.projects.setdefault(body["project"], [])
            versions.append(body["config"])
            return 201, {"project_version": len(versions) - 1}
        if path == "/distiller/download":
            versions = self.projects.get(body["project"], [])
            at = -1 if body["project_version"] is None else int(body["project_version"])
            if not versions or at >= len(versions):
                return 404, "no such project"
            return 200, {"config": json.dumps(json.dumps(versions[at]))}
        if path == "/distiller/config/validate":
            good = "utility_agents" in body["config"]
            return (200, {"message": "fine"}) if good else (400, "utility_agents is missing")
        return 404, "?"

    async def _tunnel(self, head, reader, writer):
        there = urlsplit(self.server.url)
        up, down = await asyncio.open_connection(there.hostname, there.port)
        down.write(head)

        async def pump(source, target):
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except OSError:
                pass
            target.close()

        try:
            await asyncio.gather(pump(reader, down), pump(up, writer))
        finally:
            down.transport.abort()
            writer.transport.abort()


@contextlib.asynccontextmanager
async def served(brain, codec=DistillerServerCodec, **options):
    async with WireServer(codec, brain, **options) as server, Front(server) as front:
        yield front


@contextlib.contextmanager
def served_in_thread(brain, codec=DistillerServerCodec):
    """The same for blocking callers."""
    ready, loop, made = threading.Event(), asyncio.new_event_loop(), []

    async def main():
        over = asyncio.Event()
        async with served(brain, codec) as front:
            made.extend([front, over])
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(made[1].set)
        thread.join(10)
        loop.close()
