"""Both links, against a server that breaks every rule."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

import pytest
from duologue import ConfigurationError
from duologue.errors import ConnectFailed, RateLimited
from duologue.testing import assert_no_leaks, virtual_time
from duologue.testing.wire_server import client_context, server_context
from duologue.wire import Endpoint, KeepAlive
from duologue.wire.link import ABNORMAL, LinkEnd
from duologue.wire.links import behind_proxy, has_picows, open_link
from duologue.wire.websockets_link import open_websockets_link
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .raw_server import BINARY, CLOSE, CONT, PING, PONG, TEXT, Proxy, Raw, RawServer, close, frame

KEY = "sk-0123456789abcdef"


async def open_fast(endpoint, within):
    from duologue.wire.picows_link import open_picows_link

    return await open_picows_link(endpoint, within)


LINKS = [
    pytest.param(open_websockets_link, id="websockets"),
    pytest.param(
        open_fast,
        id="picows",
        marks=pytest.mark.skipif(not has_picows(), reason="the extra duologue[fast] is not installed"),
    ),
]
both_links = pytest.mark.parametrize("opens", LINKS)


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch):
    for name in ("ws_proxy", "wss_proxy", "http_proxy", "https_proxy", "socks_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Ear:
    """A listener that keeps what it heard."""

    def __init__(self):
        self.frames = []
        self.ends = []
        self.room = 0
        self._news = asyncio.Event()

    def frame(self, frame):
        self.frames.append(frame)
        self._news.set()

    def writable(self):
        self.room += 1
        self._news.set()

    def ended(self, end):
        self.ends.append(end)
        self._news.set()

    async def until(self, test, within=20.0):
        async with asyncio.timeout(within):
            while not test():
                self._news.clear()
                await self._news.wait()

    async def hears(self, count):
        await self.until(lambda: len(self.frames) >= count)
        return self.frames

    async def end(self):
        await self.until(lambda: self.ends)
        await asyncio.sleep(5)  # it is told once
        (end,) = self.ends
        return end


class Line:
    """A link to a script."""

    def __init__(self, opens, script, *, tls=False, upgrade=True, **endpoint):
        self._opens = opens
        self.server = RawServer(script, upgrade=upgrade, tls=server_context() if tls else None)
        self._endpoint = {"proxy": None, **({"ssl": client_context()} if tls else {}), **endpoint}
        self._leaks = assert_no_leaks()

    async def __aenter__(self):
        await self._leaks.__aenter__()
        await self.server.__aenter__()
        self.ear = Ear()
        self.link = await self._opens(Endpoint(self.server.url, **self._endpoint), 10.0)
        return self

    async def __aexit__(self, *exc):
        self.link.abort()
        await self.server.__aexit__(*exc)
        await self._leaks.__aexit__(*exc)

    @property
    def client(self):
        return self.server.clients[-1]


async def listening(client: Raw) -> None:
    """Answer pings and a close, and nothing else."""
    while True:
        opcode, data = await client.next()
        if opcode == PING:
            client.send(frame(PONG, data))
        if opcode == CLOSE:
            client.send(frame(CLOSE, data))
            return


async def dead(client: Raw) -> None:
    """Read nothing, say nothing."""
    await asyncio.Event().wait()


async def mute(client: Raw) -> None:
    """Hear everything, say nothing."""
    await client.gone()


def says(*data):
    async def script(client):
        client.send(*data)
        await listening(client)

    return script


# -- frames --------------------------------------------------------------------------------------------


@both_links
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@virtual_time
async def test_messages_go_both_ways(opens, tls):
    async def echo(client):
        while (received := await client.next())[0] != CLOSE:
            client.send(frame(*received))

    async with Line(opens, echo, tls=tls) as line:
        line.link.start(line.ear)
        sent = ["", "grüße", b"", b"\x00\xff", "x" * 125, "x" * 126, b"y" * 70_000]
        for message in sent:
            line.link.send(message)
        assert await line.ear.hears(len(sent)) == sent
        assert line.link.heard == len(sent)
        assert not line.link.congested


@both_links
@virtual_time
async def test_what_came_before_anybody_listened_is_told_first(opens):
    async def script(client):
        client.accept(frame(TEXT, b"with the handshake"))
        client.send(frame(BINARY, b"right after"))
        await listening(client)

    async with Line(opens, script, upgrade=False) as line:
        await asyncio.sleep(1)
        line.link.start(line.ear)
        assert line.ear.frames == ["with the handshake", b"right after"]
        line.client.send(frame(TEXT, b"later"))
        assert (await line.ear.hears(3))[2] == "later"


@both_links
@virtual_time
async def test_an_end_before_anybody_listened_is_told_once(opens):
    async def script(client):
        client.send(frame(TEXT, b"last words"), close(4001, "why"))

    async with Line(opens, script) as line:
        await asyncio.sleep(5)
        line.link.start(line.ear)
        assert line.ear.frames == ["last words"]
        assert await line.ear.end() == LinkEnd(4001, "why")


@both_links
@virtual_time
async def test_fragments_are_put_together_whatever_comes_between(opens):
    whole = "zwölf".encode()
    script = says(
        *(frame(TEXT, whole[:3], fin=False), frame(PING, b"?"), frame(CONT, b"", fin=False), frame(CONT, whole[3:])),
        *(frame(BINARY, b"a", fin=False), frame(CONT, b"b", fin=False), frame(PONG), frame(CONT, b"c")),
        frame(TEXT, b"next"),
    )
    async with Line(opens, script) as line:
        line.link.start(line.ear)
        assert await line.ear.hears(3) == ["zwölf", b"abc", "next"]


@both_links
@virtual_time
async def test_text_that_is_no_utf8_comes_as_bytes_and_the_link_goes_on(opens):
    script = says(
        frame(TEXT, b"\xff\xfe"), frame(TEXT, b"\xc3", fin=False), frame(CONT, b"\x28"), frame(TEXT, b"still here")
    )
    async with Line(opens, script) as line:
        line.link.start(line.ear)
        assert await line.ear.hears(3) == [b"\xff\xfe", b"\xc3\x28", "still here"]


@both_links
@virtual_time
async def test_pings_are_answered_and_pongs_are_signs_of_life(opens):
    answers = []

    async def script(client):
        client.send(frame(PING, b"are you there"))
        answers.append(await client.next())
        answers.append(await client.next())
        client.send(frame(PONG, answers[1][1]))
        await listening(client)

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        await asyncio.sleep(1)
        before = line.link.heard
        line.link.ping()
        await asyncio.sleep(1)
        assert answers == [(PONG, b"are you there"), (PING, b"")]
        assert (before, line.link.heard) == (1, 2)
        assert line.ear.frames == []


@both_links
@pytest.mark.parametrize("pieces", [1, 4], ids=["whole", "in pieces"])
@virtual_time
async def test_a_message_that_is_too_large_ends_the_link(opens, pieces):
    piece = b"x" * (4000 // pieces)
    many = [frame(TEXT, piece, fin=pieces == 1)]
    many += [frame(CONT, piece, fin=n == pieces - 2) for n in range(pieces - 1)]
    async with Line(opens, says(*many), max_frame=3000) as line:
        line.link.start(line.ear)
        end = await line.ear.end()
        assert end.code == ABNORMAL
        assert end.cause is not None
        assert "3000" in str(end.cause) or "large" in str(end.cause) or "big" in str(end.cause)


@both_links
@virtual_time
async def test_a_message_of_the_very_limit_passes(opens):
    async with Line(opens, says(frame(TEXT, b"x" * 3000)), max_frame=3000) as line:
        line.link.start(line.ear)
        assert await line.ear.hears(1) == ["x" * 3000]


# -- ends ----------------------------------------------------------------------------------------------


@both_links
@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1013, 3000, 4999])
@virtual_time
async def test_the_peers_code_and_reason_are_told(opens, code):
    async with Line(opens, says(frame(TEXT, b"a"), close(code, "wärum"))) as line:
        line.link.start(line.ear)
        assert await line.ear.end() == LinkEnd(code, "wärum")
        assert line.ear.frames == ["a"]
        line.link.send("nobody hears this")
        line.link.ping()
        await line.link.drain()
        await line.link.close(1.0)


@both_links
@virtual_time
async def test_a_close_without_code(opens):
    async with Line(opens, says(frame(CLOSE))) as line:
        line.link.start(line.ear)
        assert await line.ear.end() == LinkEnd(1005, "")


@both_links
@virtual_time
async def test_a_peer_that_closes_and_then_does_nothing_is_left(opens):
    """It said goodbye and keeps the socket open: the link ends all the same, and soon."""

    async def script(client):
        client.send(close(1011, "deadline expired"))
        await dead(client)

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        await line.ear.until(lambda: line.ear.ends, within=2.0)
        assert line.ear.ends == [LinkEnd(1011, "deadline expired")]


@both_links
@virtual_time
async def test_a_connection_that_is_cut(opens):
    async def script(client):
        client.writer.transport.abort()

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        assert (await line.ear.end()).code == ABNORMAL


@both_links
@virtual_time
async def test_a_half_closed_connection_is_over(opens):
    async def script(client):
        client.send(frame(TEXT, b"last"))
        client.writer.write_eof()
        await dead(client)

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        assert (await line.ear.end()).code == ABNORMAL
        assert line.ear.frames == ["last"]


GARBAGE = [
    pytest.param(b"\x07\xff" + b"HTTP/1.1 200 OK\r\n" * 9, id="an unknown opcode"),
    pytest.param(frame(CONT, b"of nothing"), id="a continuation of nothing"),
    pytest.param(b"\x89\x7e\x01\x00" + bytes(256), id="a ping too long"),
    pytest.param(b"\x81\xff" + b"\xff" * 8, id="a length out of this world"),
]


@both_links
@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("then", [dead, listening], ids=["silence", "good manners"])
@virtual_time
async def test_what_is_no_websocket_ends_the_link_soon(opens, garbage, then):
    async def script(client):
        client.send(frame(TEXT, b"a"), garbage)
        await then(client)

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        await line.ear.until(lambda: line.ear.ends, within=2.0)
        (end,) = line.ear.ends
        assert end.code == ABNORMAL
        assert end.cause is not None
        assert line.ear.frames[:1] == ["a"]


@both_links
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.lists(st.binary(max_size=40) | st.sampled_from([frame(TEXT, b"a"), frame(BINARY, b"b"), close(1000)])))
def test_no_noise_does_more_than_end_the_link(opens, noise):
    @virtual_time
    async def check():
        async def script(client):
            client.send(*noise)
            client.writer.write_eof()
            await dead(client)

        async with Line(opens, script) as line:
            line.link.start(line.ear)
            await line.ear.end()

    check()


@both_links
@virtual_time
async def test_closing_says_goodbye_and_waits_for_the_answer(opens):
    heard = []

    async def script(client):
        heard.append(await client.next())
        client.send(frame(TEXT, b"I was about to say"))
        await asyncio.sleep(3)
        client.send(frame(CLOSE, heard[0][1]))

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await line.link.close(10.0)
        assert 3.0 <= loop.time() - began < 5.0
        assert line.ear.frames == ["I was about to say"]
        assert heard == [(CLOSE, b"\x03\xe8")]
        assert (await line.ear.end()).code in (1000, ABNORMAL)
        await line.link.close(10.0)


@both_links
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@virtual_time
async def test_closing_a_dead_peer_takes_the_time_it_was_given(opens, tls):
    async with Line(opens, dead, tls=tls) as line:
        line.link.start(line.ear)
        for _ in range(200):
            line.link.send("x" * 50_000)  # more than the sockets hold: not even the close frame gets through
        loop = asyncio.get_running_loop()
        began = loop.time()
        await line.link.close(1.5)
        assert loop.time() - began == pytest.approx(1.5)
        assert (await line.ear.end()).code == ABNORMAL


@both_links
@virtual_time
async def test_a_close_that_is_cancelled_cuts(opens):
    async with Line(opens, dead) as line:
        line.link.start(line.ear)
        closing = asyncio.ensure_future(line.link.close(60.0))
        await asyncio.sleep(0.1)
        closing.cancel()
        await asyncio.wait([closing])
        await line.ear.until(lambda: line.ear.ends, within=1.0)


@both_links
@virtual_time
async def test_a_cut_is_told_once(opens):
    async with Line(opens, listening) as line:
        line.link.start(line.ear)
        line.link.abort()
        line.link.abort()
        line.link.send("nobody hears this")
        assert (await line.ear.end()).code == ABNORMAL


# -- pressure ------------------------------------------------------------------------------------------


@both_links
@virtual_time
async def test_a_peer_that_reads_slowly_is_felt_and_its_recovery_is_told(opens):
    go_on = asyncio.Event()

    async def script(client):
        client.writer.transport.pause_reading()
        await go_on.wait()
        client.writer.transport.resume_reading()
        await client.gone()

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        while not line.link.congested:
            line.link.send("x" * 50_000)
            await asyncio.sleep(0)
        waiting = [asyncio.ensure_future(line.link.drain()) for _ in range(3)]
        await asyncio.sleep(5)
        assert not any(w.done() for w in waiting)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        go_on.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*waiting[1:])
        assert not line.link.congested
        assert line.ear.room >= 1
        await line.link.drain()


@both_links
@pytest.mark.parametrize("end", ["abort", "reset"])
@virtual_time
async def test_whoever_waits_for_room_is_let_go_when_the_link_ends(opens, end):
    cut = asyncio.Event()

    async def script(client):
        client.writer.transport.pause_reading()
        await cut.wait()
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset instead of an end
        client.writer.transport.abort()

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        while not line.link.congested:
            line.link.send("x" * 50_000)
            await asyncio.sleep(0)
        waiting = asyncio.ensure_future(line.link.drain())
        await asyncio.sleep(1)
        if end == "abort":
            line.link.abort()
        else:
            cut.set()
        async with asyncio.timeout(20):
            await waiting
        await line.ear.end()


@both_links
@virtual_time
async def test_a_link_that_is_not_read_holds_its_peer_up(opens):
    full = asyncio.Event()

    async def script(client):
        while not full.is_set():
            client.send(frame(BINARY, bytes(50_000)))
            try:
                async with asyncio.timeout(5):
                    await client.writer.drain()
            except TimeoutError:
                full.set()
        await client.gone()

    async with Line(opens, script) as line:
        line.link.start(line.ear)
        await line.ear.hears(1)
        line.link.pause()
        await full.wait()
        got = len(line.ear.frames)
        await asyncio.sleep(10)
        assert len(line.ear.frames) == got
        line.link.resume()
        await line.ear.hears(got + 5)


# -- opening -------------------------------------------------------------------------------------------


async def failure(opens, url, within=10.0, **endpoint):
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    async with assert_no_leaks():
        with pytest.raises(Exception) as raised:  # noqa: PT011 - which one it is, is looked at by the caller
            await opens(Endpoint(url, **{"proxy": None, **endpoint}), within)
        assert loop.time() <= until + 0.1
    shown, error = [], raised.value
    while error is not None:
        shown.append(f"{error} {error!r}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert KEY not in " ".join(shown)
    return raised.value


@both_links
@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        ("400 Bad Request", ConnectFailed, False),
        ("401 Unauthorized", ConnectFailed, False),
        ("403 Forbidden", ConnectFailed, False),
        ("404 Not Found", ConnectFailed, False),
        ("429 Too Many Requests", RateLimited, True),
        ("500 Internal Server Error", ConnectFailed, True),
        ("503 Service Unavailable", ConnectFailed, True),
        ("200 OK", ConnectFailed, False),
        ("499 Client Closed Request", ConnectFailed, False),
    ],
)
@virtual_time
async def test_a_refusal_is_told_with_its_reason_and_without_the_key(opens, status, kind, retryable):
    async def script(client):
        client.answer(status, f'{{"error": "no entry for {KEY}, {client.headers["authorization"]}"}}')
        await client.gone()

    async with RawServer(script, upgrade=False) as server:
        error = await failure(
            opens, f"{server.url}/v1?key={KEY}", headers={"Authorization": f"Bearer {KEY}"}, provider="acme"
        )
    assert type(error) is kind
    assert (error.retryable, error.code) == (retryable, status[:3])
    assert "no entry for [hidden]" in str(error)
    assert "acme" in str(error)


@both_links
@virtual_time
async def test_a_refusal_without_a_length_ends_with_the_connection(opens):
    async def script(client):
        client.writer.write(b"HTTP/1.1 401 Unauthorized\r\n\r\nbad key")
        await client.writer.drain()
        client.writer.close()

    async with RawServer(script, upgrade=False) as server:
        error = await failure(opens, server.url)
    assert (type(error), error.code) == (ConnectFailed, "401")


@both_links
@virtual_time
async def test_nobody_is_sent_on_to_another_place_with_the_key(opens):
    reached = []

    async def elsewhere(client):
        reached.append(client.headers)
        await listening(client)

    async with RawServer(elsewhere) as other:

        async def script(client):
            client.answer("307 Temporary Redirect", "", f"Location: {other.url}/?key={KEY}")
            await client.gone()

        async with RawServer(script, upgrade=False) as server:
            error = await failure(opens, server.url, headers={"Authorization": f"Bearer {KEY}"})
    assert isinstance(error, ConnectFailed | ConfigurationError)
    assert not error.retryable
    assert reached == []


@both_links
@virtual_time
async def test_silence_is_given_up_at_the_deadline(opens):
    async with RawServer(mute, upgrade=False) as server:
        error = await failure(opens, server.url, within=3.0, provider="acme")
    assert (type(error), error.code, error.retryable) == (ConnectFailed, "timeout", True)
    assert f"acme at 127.0.0.1:{server.port} did not answer in time" in str(error)


@both_links
@virtual_time
async def test_silence_before_tls_is_given_up_at_the_deadline(opens):
    async with RawServer(mute, upgrade=False) as server:
        error = await failure(opens, server.url.replace("ws:", "wss:"), within=3.0)
    assert (type(error), error.code) == (ConnectFailed, "timeout")


@both_links
@virtual_time
async def test_opening_that_is_cancelled_leaves_nothing(opens):
    async with RawServer(mute, upgrade=False) as server, assert_no_leaks():
        opening = asyncio.ensure_future(opens(Endpoint(server.url, proxy=None), 10.0))
        await asyncio.sleep(1)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await server.ends.wait()


@both_links
@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 9000],
    ids=["another protocol", "nothing", "no handshake", "no status", "noise"],
)
@virtual_time
async def test_what_answers_something_else_is_no_provider(opens, answer):
    async def script(client):
        client.writer.write(answer)
        await asyncio.sleep(0.1)

    async with RawServer(script, upgrade=False) as server:
        error = await failure(opens, server.url)
    assert type(error) is ConnectFailed
    assert str(server.port) in str(error)


@both_links
@virtual_time
async def test_nobody_listens(opens):
    async with RawServer(dead) as server:
        url = server.url
    error = await failure(opens, f"{url}/?key={KEY}")
    assert (type(error), error.code, error.retryable) == (ConnectFailed, "unreachable", True)
    assert str(server.port) in str(error)


@both_links
@virtual_time
async def test_a_certificate_that_nobody_trusts(opens):
    async with RawServer(dead, upgrade=False, tls=server_context()) as server:
        error = await failure(opens, server.url, provider="acme")
    assert type(error) is ConfigurationError
    assert not error.retryable
    assert "not trusted" in str(error)
    assert "ssl=" in str(error)


@both_links
@virtual_time
async def test_tls_where_there_is_none(opens):
    async def script(client):
        client.answer("400 Bad Request", "")

    async with RawServer(script, upgrade=False) as server:
        error = await failure(opens, server.url.replace("ws:", "wss:"), within=3.0)
    assert type(error) is ConnectFailed


@pytest.mark.parametrize("opens", [*LINKS, pytest.param(open_link, id="whichever")])
@virtual_time
async def test_an_endpoint_that_is_wrong_is_refused_before_anything_is_opened(opens):
    for url in (f"https://host/?key={KEY}", f"wss://host:port/?key={KEY}", f"ws://10.0.0.1/?key={KEY}", "ws://h/#f"):
        assert type(await failure(opens, url, proxy=True)) is ConfigurationError


@both_links
@virtual_time
async def test_what_the_server_is_asked_for(opens):
    async with Line(
        opens,
        lambda client: listening(client),
        headers={"Authorization": f"Bearer {KEY}", "X-Extra": "1"},
        subprotocols=(),
    ) as line:
        headers = line.client.headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-extra"] == "1"
    assert headers["user-agent"] == "duologue"
    assert "sec-websocket-extensions" not in headers, "compression was offered"
    assert "sec-websocket-protocol" not in headers


@both_links
@virtual_time
async def test_a_user_agent_and_subprotocols_of_ones_own(opens):
    async def script(client):
        client.accept(b"", "Sec-WebSocket-Protocol: two")
        await listening(client)

    async with Line(opens, script, upgrade=False, headers={"user-agent": "mine"}, subprotocols=("one", "two")) as line:
        request = line.client.request.decode().lower()
    assert "sec-websocket-protocol: one, two" in request
    assert request.count("user-agent:") == 1
    assert "user-agent: mine" in request


@both_links
@virtual_time
async def test_no_log_holds_the_key(opens, caplog):
    caplog.set_level(logging.DEBUG)
    script = says(frame(TEXT, b"a"))
    async with Line(opens, script, headers={"Authorization": f"Bearer {KEY}"}, secrets=("more-secret",)) as line:
        line.link.start(line.ear)
        line.link.send("more-secret")
        await line.ear.hears(1)
        await line.link.close(1.0)
    assert KEY not in caplog.text
    assert "more-secret" not in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="the option has another name elsewhere")
@both_links
@virtual_time
async def test_tcp_gives_up_what_nobody_acknowledges(opens):
    async with Line(opens, listening, keep_alive=KeepAlive(within=7.0)) as line:
        link = line.link
        transport = getattr(link, "transport", None) or link._transport.underlying_transport
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@both_links
@virtual_time
async def test_the_addresses_of_a_host_are_tried_in_turn(opens, monkeypatch):
    async with RawServer(listening) as server:

        async def getaddrinfo(host, port, **_):
            kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kinds, ("127.0.0.1", 1)), (*kinds, ("127.0.0.1", server.port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        link = await opens(Endpoint("ws://api.test/", proxy=None), 10.0)
        await link.close(1.0)


@both_links
@virtual_time
async def test_a_host_that_nobody_knows(opens, monkeypatch):
    async def getaddrinfo(host, port, **_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    error = await failure(opens, "ws://api.test/", provider="acme")
    assert (type(error), error.code, error.retryable) == (ConnectFailed, "unreachable", True)
    assert "Name or service not known" in str(error)


# -- proxies -------------------------------------------------------------------------------------------


@virtual_time
async def test_a_proxy_is_asked_with_its_password():
    async with RawServer(says(frame(TEXT, b"hello"))) as server, Proxy(lambda _: server.port) as proxy:
        endpoint = Endpoint("ws://api.test/v1", proxy=f"http://user:friend%20@127.0.0.1:{proxy.port}")
        link = await open_link(endpoint, 10.0)
        ear = Ear()
        link.start(ear)
        assert await ear.hears(1) == ["hello"]
        await link.close(1.0)
        assert proxy.asked == ["api.test:80"]
        assert proxy.clients[0].headers["proxy-authorization"] == "Basic dXNlcjpmcmllbmQg"
        assert "proxy-authorization" not in server.clients[0].headers


@virtual_time
async def test_tls_goes_through_a_proxy_to_the_provider():
    async with (
        RawServer(says(frame(TEXT, b"hello")), tls=server_context()) as server,
        Proxy(lambda _: server.port) as proxy,
    ):
        endpoint = Endpoint("wss://localhost/", ssl=client_context(), proxy=f"http://127.0.0.1:{proxy.port}")
        link = await open_link(endpoint, 10.0)
        await link.close(1.0)
        assert proxy.asked == ["localhost:443"]


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "http_proxy"])
def test_the_environment_names_the_proxy_unless_it_is_not_wanted(monkeypatch, name):
    @virtual_time
    async def check():
        async with RawServer(listening) as server, Proxy(lambda _: server.port) as proxy:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            link = await open_link(Endpoint("ws://api.test/"), 10.0)
            await link.close(1.0)
            assert proxy.asked == ["api.test:80"]
            link = await open_link(Endpoint(server.url, proxy=None), 10.0)
            await link.close(1.0)
            assert len(proxy.asked) == 1
            monkeypatch.setenv("no_proxy", "example.com,127.0.0.1")
            link = await open_link(Endpoint(server.url), 10.0)
            await link.close(1.0)
            assert len(proxy.asked) == 1

    check()


def test_a_proxy_rules_the_fast_link_out(monkeypatch):
    assert not behind_proxy(Endpoint("wss://api.test/"))
    assert behind_proxy(Endpoint("wss://api.test/", proxy="http://proxy:3128"))
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert behind_proxy(Endpoint("wss://api.test/"))
    assert not behind_proxy(Endpoint("wss://api.test/", proxy=None))
    monkeypatch.setenv("no_proxy", "api.test")
    assert not behind_proxy(Endpoint("wss://api.test/"))


@virtual_time
async def test_a_proxy_that_refuses():
    async with Proxy(lambda _: 0, refuse="407 Proxy Authentication Required") as proxy:
        error = await failure(
            open_link, "ws://api.test/", proxy=f"http://user:{KEY}@127.0.0.1:{proxy.port}", provider="acme"
        )
    assert type(error) is ConnectFailed
    assert "407" in str(error)


@virtual_time
async def test_a_proxy_that_says_nothing_is_given_up_at_the_deadline():
    async with RawServer(mute, upgrade=False) as proxy:
        error = await failure(open_link, "ws://api.test/", within=3.0, proxy=f"http://127.0.0.1:{proxy.port}")
    assert (type(error), error.code) == (ConnectFailed, "timeout")


@pytest.mark.parametrize("address", [f"ftp://user:{KEY}@proxy/", f"http://proxy/path?{KEY}=1", f"http://{KEY}@proxy"])
@pytest.mark.parametrize("given_by", ["argument", "environment"])
def test_a_proxy_that_is_none_is_a_matter_of_configuration_and_its_password_is_not_shown(
    address, given_by, monkeypatch
):
    @virtual_time
    async def check():
        if given_by == "environment":
            monkeypatch.setenv("https_proxy", address)
        proxy = True if given_by == "environment" else address
        error = await failure(open_link, "ws://api.test/", proxy=proxy)
        assert type(error) is ConfigurationError
        assert "proxy" in str(error)

    check()


# -- which one -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not has_picows(), reason="the extra duologue[fast] is not installed")
@pytest.mark.parametrize(("installed", "name"), [(True, "PicowsLink"), (False, "WebSocketsLink")])
def test_the_fast_link_is_used_where_it_is_installed(monkeypatch, installed, name):
    monkeypatch.setattr("duologue.wire.links.has_picows", lambda: installed)

    @virtual_time
    async def check():
        async with RawServer(listening) as server:
            link = await open_link(Endpoint(server.url), 10.0)
            assert type(link).__name__ == name
            await link.close(1.0)

    check()
