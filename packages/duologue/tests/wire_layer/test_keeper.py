"""Dialling: endpoints that are made anew, what goes wrong before there is a connection, and how a session ends."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from duologue import (
    ConfigurationError,
    ConnectFailed,
    Error,
    LocalProtocolError,
    Reconnected,
    Reconnecting,
    SessionClosed,
    TextBlock,
    TurnComplete,
)
from duologue.testing import Peer, StandIn, WireServer, assert_no_leaks, virtual_time
from duologue.testing.toy import ToyCodec, ToyServerCodec, ToyTransport
from duologue.wire import Endpoint, LinkPolicy, Opening, WireSession

from .scenes import scene


def policy() -> LinkPolicy:
    return LinkPolicy(chance=lambda: 0.0)


async def drained(session: WireSession) -> list[str]:
    return [type(event).__name__ async for event in session.events()]


@virtual_time
async def test_an_endpoint_is_made_anew_for_every_connection():
    made = itertools.count(1)
    async with WireServer(ToyServerCodec, StandIn()) as server:

        async def endpoint() -> Endpoint:
            return Endpoint(server.url, {"Authorization": f"Bearer token-{next(made)}"}, "toy")

        session = WireSession(ToyCodec, endpoint, policy())
        await session.open()
        server.peer.abort()
        async for event in session.events():
            if isinstance(event, Reconnected):
                break
        await session.close()
        assert [peer.headers["Authorization"] for peer in server.peers] == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    ("fault", "expected", "message"),
    [
        (OSError("no route"), ConnectFailed, "no route"),
        (TimeoutError(), ConnectFailed, "in time"),
        (ConfigurationError("no credentials"), ConfigurationError, "no credentials"),
    ],
)
def test_an_endpoint_that_can_not_be_made_says_so(fault, expected, message):
    @virtual_time
    async def run():
        async def endpoint() -> Endpoint:
            raise fault

        async with assert_no_leaks():
            with pytest.raises(expected, match=message):
                await WireSession(ToyCodec, endpoint, policy()).open()

    run()


@virtual_time
async def test_an_endpoint_that_never_comes_costs_the_deadline():
    async def endpoint() -> Endpoint:
        await asyncio.Event().wait()
        raise AssertionError

    async with assert_no_leaks():
        with pytest.raises(ConnectFailed, match="within 10 s"):
            await WireSession(ToyCodec, endpoint, policy()).open()
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)


@virtual_time
async def test_opening_can_be_cancelled_at_any_moment():
    async def brain(peer: Peer) -> None:
        await asyncio.sleep(1.0)
        await peer.accept()
        await asyncio.sleep(60)

    for after in (0.0, 0.01, 0.5, 1.0, 1.001):
        async with WireServer(ToyServerCodec, brain, accept=False) as server, assert_no_leaks():
            session = WireSession(ToyCodec, Endpoint(server.url), policy())
            opening = asyncio.ensure_future(session.open())
            await asyncio.sleep(after)
            opening.cancel()
            await asyncio.wait([opening])
            await session.close()
            with pytest.raises((SessionClosed, LocalProtocolError)):
                await session.send(TextBlock("hello"))


@virtual_time
async def test_a_codec_that_can_not_be_made_ends_the_session():
    def codec(opening: Opening) -> ToyCodec:
        if opening.history or opening.handle:
            raise ValueError("what is this?")
        return ToyCodec(opening)

    async with WireServer(ToyServerCodec, StandIn()) as server, assert_no_leaks():
        session = WireSession(codec, Endpoint(server.url), policy())
        await session.open()
        await session.send(TextBlock("hello"))
        await session.commit()
        seen = []

        async def read() -> None:
            async for event in session.events():
                seen.append(type(event))
                if isinstance(event, TurnComplete):
                    asyncio.get_running_loop().call_later(1.0, server.peer.abort)

        with pytest.raises(ConnectFailed, match="what is this"):
            await read()
        assert Reconnecting in seen
        await session.close()


@virtual_time
async def test_a_codec_that_fails_costs_the_frame():
    class Fragile(ToyCodec):
        def decode(self, frame):
            if "boom" in frame:
                raise ZeroDivisionError
            return super().decode(frame)

    async with WireServer(ToyServerCodec, StandIn()) as server:
        session = WireSession(Fragile, Endpoint(server.url), policy())
        await session.open()
        await server.peer.frame('{"type":"boom"}')
        await server.peer.close(1000)
        assert await drained(session) == ["SessionStarted", "Problem"]
        await session.close()


@virtual_time
async def test_a_fatal_error_of_the_provider_is_told_and_ends_the_session():
    async with scene() as talk:
        await talk.server.peer.send(Error(ConnectFailed("enough of you", retryable=False)))
        error = await talk.end()
        assert isinstance(error, ConnectFailed)
        assert "enough of you" in str(error)
        with pytest.raises(SessionClosed):
            await talk.agent.send(TextBlock("hello"))


@virtual_time
async def test_an_error_that_may_pass_is_followed_by_another_connection():
    async with scene() as talk:
        await talk.server.peer.send(Error(ConnectFailed("session expired", retryable=True)))
        await talk.until(Reconnected)
        await talk.agent.send(TextBlock("still there"))
        await talk.until(TurnComplete)


@virtual_time
async def test_a_session_is_opened_before_it_is_used_and_read_once():
    async with WireServer(ToyServerCodec, StandIn()) as server:
        session = WireSession(ToyCodec, Endpoint(server.url), policy())
        for use in (session.send(TextBlock("x")), session.commit(), session.interrupt()):
            with pytest.raises(LocalProtocolError, match="not open"):
                await use
        with pytest.raises(LocalProtocolError, match="not open"):
            _ = session.capabilities
        await session.open()
        session.events()
        with pytest.raises(LocalProtocolError, match="read once"):
            session.events()
        await session.close()
        await session.close()


@virtual_time
async def test_two_who_close_wait_for_the_same_end():
    async with WireServer(ToyServerCodec, StandIn()) as server:
        session = await ToyTransport(server.url).connect(system="", tools=[])
        server.peer.freeze()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(session.close(), session.close())
        assert 0 < loop.time() - began <= 2.0
        assert await drained(session) == ["SessionStarted"]
