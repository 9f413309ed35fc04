"""WireServer: a real WebSocket server on this machine that plays a script through a server codec."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Self, TypeAlias

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from duologue.errors import MissingExtra
from duologue.tasks import TaskSet
from duologue.testing.peer import Left, Peer
from duologue.wire.commands import SetUp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from duologue.wire.codec import ServerCodec

Brain: TypeAlias = Callable[[Peer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a client is turned away before there is a WebSocket."""

    status: int = 503
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class WireServer:
    """Serves a protocol on loopback, over TLS or not.

    Once for each connection it waits for the client's `SetUp`, accepts it with `SessionStarted` and runs the brain,
    which says and expects what it likes, faults included. When the brain returns the connection stays open until
    the client leaves.

    Args:
        codec: makes the server codec of a connection.
        brain: what happens on a connection.
        tls: serve `wss://`, with a certificate that only `ssl` trusts (needs the package `trustme`).
        accept: say `SessionStarted` before the brain runs; else the brain does.
        accept_after: seconds that takes, or a function that tells them each time.
        refuse: turn every client away at the HTTP request; may be changed at any time.

    Attributes:
        url: where it listens.
        ssl: a client's TLS context that trusts it, None without TLS.
        peers: the connections so far.

    Raises (on leaving the context):
        BaseException: what went wrong in a brain.
    """

    def __init__(
        self,
        codec: Callable[[], ServerCodec],
        brain: Brain,
        *,
        tls: bool = False,
        accept: bool = True,
        accept_after: float | Callable[[], float] = 0.0,
        refuse: Refusal | None = None,
    ) -> None:
        self.refuse = refuse
        self.peers: list[Peer] = []
        self.url = ""
        self.ssl: ssl.SSLContext | None = client_context() if tls else None
        self._codec = codec
        self._brain = brain
        self._accept = accept
        self._accept_after = accept_after
        self._tasks = TaskSet()
        self._failures: list[BaseException] = []
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            ssl=server_context() if self.ssl is not None else None,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=0.5,
            process_request=self._turn_away,
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"{'wss' if self.ssl is not None else 'ws'}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        for peer in self.peers:
            peer.abort()
        self._server.close()
        await self._tasks.stop(2.0)
        async with asyncio.timeout(5.0):
            await self._server.wait_closed()
        if self._failures and kind is None:
            raise self._failures[0]

    @property
    def peer(self) -> Peer:
        """The newest connection."""
        return self.peers[-1]

    def _turn_away(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse is None:
            return None
        headers = Headers({"Content-Type": "text/plain", "Connection": "close", **self.refuse.headers})
        body = self.refuse.body.encode()
        headers["Content-Length"] = str(len(body))
        return Response(self.refuse.status, HTTPStatus(self.refuse.status).phrase, headers, body)

    async def _serve(self, socket: ServerConnection) -> None:
        codec = self._codec()
        peer = Peer(len(self.peers) + 1, codec, socket)
        self.peers.append(peer)
        peer.take(codec.greet())
        thinking = self._tasks.start(self._think(peer), f"brain {peer.number}")
        try:
            async for frame in socket:
                commands = codec.decode(frame)
                answers, codec.outgoing = codec.outgoing, []
                for answer in answers:
                    await peer.frame(answer)
                peer.take(commands)
        except (ConnectionClosed, Left):
            pass
        finally:
            peer.left()
            thinking.cancel()

    async def _think(self, peer: Peer) -> None:
        try:
            peer.setup = await peer.expect(SetUp)
            if self._accept:
                wait = self._accept_after() if callable(self._accept_after) else self._accept_after
                if wait:
                    await asyncio.sleep(wait)
                await peer.accept()
            await self._brain(peer)
        except (Left, ConnectionClosed):
            pass
        except Exception as exc:  # task boundary: a brain's failure fails the test that leaves the server
            self._failures.append(exc)
            peer.abort()


@functools.cache
def _authority() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    try:
        import trustme
    except ImportError as exc:
        raise MissingExtra("trustme", needed_for="a test server over TLS") from exc
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def server_context() -> ssl.SSLContext:
    """A TLS context with a certificate for this machine, made once a process."""
    return _authority()[0]


def client_context() -> ssl.SSLContext:
    """A TLS context that trusts `server_context`."""
    return _authority()[1]
