"""The server of the test kit: what a brain says and hears, and each fault it can make."""

from __future__ import annotations

import asyncio
import builtins

import pytest
from duologue import AudioOutputDelta, MissingExtra, SessionStarted, TextBlock
from duologue.testing import Peer, Refusal, WireServer, assert_no_leaks, peer, virtual_time
from duologue.testing.toy import ToyServerCodec
from duologue.testing.wire_server import _authority
from duologue.wire import CommitTurn, SendContent, SetUp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

HELLO = '{"type": "hello", "system": "be brief"}'
WELCOME = '{"type":"welcome","session":"session-1","model":"stand-in"}'


async def nothing(_: Peer) -> None:
    """A brain that has nothing to say."""


def client(server, **options):
    return connect(server.url, proxy=None, ping_interval=None, ssl=server.ssl, close_timeout=1.0, **options)


def meets(brain, **options):
    """Run a test with a server and a client that has said hello."""

    def wrap(test):
        async def run():
            async with (
                assert_no_leaks(),
                WireServer(ToyServerCodec, brain, **options) as server,
                client(server) as socket,
            ):
                await socket.send(HELLO)
                assert await socket.recv() == WELCOME
                await test(server, socket)

        run.__name__ = test.__name__
        return virtual_time(run)

    return wrap


@meets(nothing)
async def test_a_session_is_accepted_and_stays_open_when_the_brain_is_done(server, socket):
    assert server.peer.accepted
    assert server.peer.setup.system == "be brief"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await socket.recv()


@meets(nothing, tls=True)
async def test_over_tls(server, socket):
    assert server.url.startswith("wss://")


async def asks(peer: Peer) -> None:
    await peer.expect(CommitTurn)
    content = await peer.expect(SendContent, lambda c: c.block.text == "two")
    assert content == SendContent(TextBlock("two"))
    assert await peer.next() == SendContent(TextBlock("one"))
    await peer.send(AudioOutputDelta(b"ab"))
    assert await peer.next() == CommitTurn()


@meets(asks)
async def test_a_brain_takes_what_it_expects_and_leaves_the_rest(server, socket):
    for text in ("one", "two"):
        await socket.send(f'{{"type": "text", "text": "{text}"}}')
    await socket.send('{"type": "commit"}')
    assert await socket.recv() == '{"type":"audio","delta":"YWI="}'
    await socket.send('{"type": "commit"}')


@virtual_time
async def test_what_goes_wrong_in_a_brain_fails_the_test():
    async def brain(peer):
        await peer.expect(CommitTurn, within=5.0)

    async def check():
        async with WireServer(ToyServerCodec, brain) as server, client(server) as socket:
            await socket.send(HELLO)
            await socket.send('{"type": "text", "text": "one"}')
            await asyncio.sleep(10)

    with pytest.raises(AssertionError, match=r"no CommitTurn came within 5 s; waiting: \[SendContent"):
        await check()


@virtual_time
async def test_a_failure_of_the_test_itself_goes_first():
    async def brain(peer):
        raise ValueError("of the brain")

    async def check():
        async with WireServer(ToyServerCodec, brain) as server, client(server) as socket:
            await socket.send(HELLO)
            await asyncio.sleep(1)
            raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        await check()


@virtual_time
async def test_a_client_that_leaves_ends_its_brain():
    ended = asyncio.Event()

    async def brain(peer):
        try:
            await peer.next()
        finally:
            ended.set()

    async with assert_no_leaks(), WireServer(ToyServerCodec, brain) as server:
        async with client(server) as socket:
            await socket.send(HELLO)
            await socket.recv()
        async with asyncio.timeout(5):
            await ended.wait()
        with pytest.raises(peer.Left):
            await server.peer.next()
        with pytest.raises(peer.Left):
            await server.peer.frame("nobody hears this")


@virtual_time
async def test_the_server_leaves_no_client_behind():
    async with WireServer(ToyServerCodec, nothing) as server:
        socket = await client(server)
    with pytest.raises(ConnectionClosed):
        await socket.recv()


@virtual_time
async def test_a_client_is_turned_away_by_http():
    async with WireServer(ToyServerCodec, nothing, refuse=Refusal(429, "slow down", {"Retry-After": "7"})) as server:
        with pytest.raises(InvalidStatus) as refused:
            await client(server)
        response = refused.value.response
        assert (response.status_code, response.body, response.headers["Retry-After"]) == (429, b"slow down", "7")
        server.refuse = None
        async with client(server):
            pass
    assert len(server.peers) == 1


@pytest.mark.parametrize("wait", [3.0, lambda: 3.0])
def test_acceptance_takes_the_time_it_is_given(wait):
    @virtual_time
    async def check():
        async with WireServer(ToyServerCodec, nothing, accept_after=wait) as server, client(server) as socket:
            began = asyncio.get_running_loop().time()
            await socket.send(HELLO)
            await socket.recv()
            assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)

    check()


@virtual_time
async def test_the_brain_may_accept_itself():
    async def brain(peer):
        assert not peer.accepted
        await peer.send(SessionStarted("mine", "model"))

    async with WireServer(ToyServerCodec, brain, accept=False) as server, client(server) as socket:
        await socket.send(HELLO)
        assert await socket.recv() == '{"type":"welcome","session":"mine","model":"model"}'


@virtual_time
async def test_a_codec_that_knows_the_setup_beforehand_greets():
    class Greets(ToyServerCodec):
        def greet(self):
            return [SetUp(model="known")]

    async with WireServer(Greets, nothing) as server, client(server) as socket:
        assert '"model":"known"' in await socket.recv()


@meets(nothing)
async def test_what_the_request_said_is_known(server, socket):
    assert server.peer.path == "/"
    assert "Sec-WebSocket-Key" in server.peer.headers


@meets(nothing)
async def test_nonsense_is_answered_by_the_protocol(server, socket):
    await socket.send("{")
    assert '"bad_message"' in await socket.recv()


@meets(nothing)
async def test_handles_are_offered(server, socket):
    await server.peer.offer("h")
    assert await socket.recv() == '{"type":"handle","handle":"h"}'


# -- faults --------------------------------------------------------------------------------------------


@meets(nothing)
async def test_delay_and_repetition(server, socket):
    server.peer.delay, server.peer.repeat = 2.0, 3
    loop = asyncio.get_running_loop()
    began = loop.time()
    await server.peer.frame("x")
    assert [await socket.recv() for _ in range(3)] == ["x"] * 3
    assert loop.time() - began == pytest.approx(2.0)


@meets(nothing)
async def test_a_close_with_its_reason(server, socket):
    await server.peer.close(1011, "why")
    with pytest.raises(ConnectionClosedError) as closed:
        await socket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "why")


@pytest.mark.parametrize("fault", ["abort", "half_close", "raw"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_faults_that_end_the_connection(fault, tls):
    @meets(nothing, tls=tls)
    async def check(server, socket):
        match fault:
            case "abort":
                server.peer.abort()
            case "half_close":
                await server.peer.half_close()
            case "raw":
                server.peer.raw(b"\x07garbage")
        with pytest.raises(ConnectionClosedError):
            async with asyncio.timeout(30):
                await socket.recv()

    check()


@meets(nothing)
async def test_a_frozen_peer_says_nothing_while_its_socket_stays_open(server, socket):
    server.peer.freeze()
    await server.peer.frame("nobody hears this")
    pong = await socket.ping()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await pong
    server.peer.abort()


@meets(nothing)
async def test_a_stalled_peer_reads_on_when_it_is_told(server, socket):
    server.peer.stall()
    server.peer.stall()
    await socket.send('{"type": "commit"}')
    await asyncio.sleep(5)
    assert server.peer.commands == []
    server.peer.go_on()
    assert await server.peer.next() == CommitTurn()


@meets(nothing)
async def test_commands_that_nobody_takes_are_bounded(server, socket):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "MAX_COMMANDS", 2)
        for text in "abc":
            await socket.send(f'{{"type": "text", "text": "{text}"}}')
        await asyncio.sleep(1)
    assert server.peer.commands == [SendContent(TextBlock("b")), SendContent(TextBlock("c"))]
    assert server.peer.dropped == 1


def test_tls_names_the_package_it_needs(monkeypatch):
    original = builtins.__import__

    def without(name, *rest):
        if name == "trustme":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="trustme"):
        _authority.__wrapped__()
