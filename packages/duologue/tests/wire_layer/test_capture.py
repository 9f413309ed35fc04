"""A session on file: complete, without secrets, and never in the way."""

import asyncio
import base64
import contextlib
import json
import logging
import sys
import threading
from types import MappingProxyType

import pytest
from duologue import (
    AudioBlock,
    ConfigurationError,
    ImageBlock,
    Message,
    RealtimeAgent,
    Reconnecting,
    TextBlock,
    TurnComplete,
)
from duologue.testing import StandIn, WireServer
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.types import CallRecord
from duologue.wire import CommitTurn, Opening, Secrets, SendContent, capture
from duologue.wire.capture import Capture
from duologue.wire.link import LinkEnd
from duologue.wire.spelling import unspell

KEY = "sk-0123456789abcdef"


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def finish(recording):
    recording.close()
    recording.wait()
    assert not recording._thread.is_alive()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "session.jsonl"


def test_a_session_is_on_file_line_by_line(path):
    recording = Capture(path, {"transport": "toy"})
    history = [Message("user", "hello", calls=(CallRecord("c", "t", MappingProxyType({"a": 1})),))]
    recording.opened(1, Opening("handle", history))
    recording.asked(1, SendContent(AudioBlock(b"\x01\x02")))
    recording.sent(1, '{"type": "hello"}')
    recording.sent(1, b"\x00\xff")
    recording.received(1, "grüße")
    recording.received(2, b"\xfe")
    recording.told(Reconnecting(1, "cut"))
    recording.closed(2, LinkEnd(1011, "internal"))
    finish(recording)
    head, *lines = read(path)
    assert [line.pop("t") for line in lines] == sorted(line["t"] for line in read(path)[1:])
    opened, asked, *rest = lines
    assert unspell(opened["open"]["history"]) == [Message("user", "hello", calls=(CallRecord("c", "t", {"a": 1}),))]
    assert (opened["n"], opened["open"]["handle"]) == (1, "handle")
    assert unspell(asked["ask"]) == SendContent(AudioBlock(b"\x01\x02"))
    assert rest == [
        {"n": 1, "out": '{"type": "hello"}'},
        {"n": 1, "out64": base64.b64encode(b"\x00\xff").decode()},
        {"n": 1, "in": "grüße"},
        {"n": 2, "in64": base64.b64encode(b"\xfe").decode()},
        {"n": 0, "tell": {"kind": "Reconnecting", "attempt": 1, "reason": "cut"}},
        {"n": 2, "end": {"code": 1011, "reason": "internal"}},
    ]
    assert head["session"] == {"transport": "toy"}


def test_it_starts_with_the_versions_that_made_it(path):
    finish(Capture(path, {}))
    (head,) = read(path)
    assert head["capture"] == capture.VERSION
    assert head["python"] == ".".join(map(str, sys.version_info[:3]))
    assert head["duologue"]
    assert set(head["packages"]) >= {"websockets", "msgspec"}
    assert head["system"]
    assert head["began"].endswith("Z")


def test_a_package_that_is_not_installed_is_left_out(path, monkeypatch):
    from importlib import metadata

    def version(name):
        if name == "picows":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    finish(Capture(path, {}))
    assert set(read(path)[0]["packages"]) == {"websockets", "msgspec"}


def test_no_secret_is_in_it_wherever_it_stood(path):
    recording = Capture(path, {"note": KEY})
    recording.hide(Secrets([KEY]))
    recording.opened(1, Opening(f"handle-{KEY}", [Message("user", f"my key is {KEY}", f"item-{KEY}")]))
    call = CallRecord(f"call-{KEY}", "login", {"key": KEY, KEY: [1, {"deep": [f"<{KEY}>"]}]}, f"welcome {KEY}")
    recording.opened(2, Opening("", [Message("assistant", "", calls=(call,))]))
    recording.asked(1, SendContent(TextBlock(KEY)))
    recording.asked(1, SendContent(ImageBlock(b"\xff\x00" + KEY.encode() + b"\xfe", "image/png")))
    recording.sent(1, json.dumps({"setup": {"auth": f"Bearer {KEY}", "also": [KEY, KEY]}}))
    recording.sent(1, b"\xff\xfe" + KEY.encode() + b"\x80")
    recording.received(1, f'{{"error": "key {KEY} is bad", "{KEY}": 1}}')
    recording.received(1, json.dumps({"error": KEY}).encode())
    recording.told(Reconnecting(1, f"key {KEY} is bad"))
    recording.closed(1, LinkEnd(1008, f"key {KEY} is bad"))
    finish(recording)
    shown = path.read_text(encoding="utf-8")
    assert KEY not in shown
    lines = read(path)
    assert shown.count("[hidden]") == 17
    assert base64.b64decode(lines[4]["ask"]["block"]["data"]["base64"]) == b"\xff\x00[hidden]\xfe"
    assert base64.b64decode(lines[6]["out64"]) == b"\xff\xfe[hidden]\x80"
    assert json.loads(base64.b64decode(lines[8]["in64"])) == {"error": "[hidden]"}


def test_secrets_of_later_connections_are_hidden_beside_the_earlier_ones(path):
    recording = Capture(path, {})
    recording.hide(Secrets(["first-token"]))
    recording.hide(Secrets(["second-token"]))
    recording.received(1, "first-token second-token")
    finish(recording)
    assert read(path)[1]["in"] == "[hidden] [hidden]"


@pytest.mark.skipif(sys.platform == "win32", reason="paths differ")
def test_a_file_that_cant_be_written_is_refused_at_once(tmp_path):
    for path in (tmp_path, tmp_path / "no such directory" / "file"):
        with pytest.raises(ConfigurationError, match="can't be written"):
            Capture(path, {})


def test_closing_twice_is_closing_once_and_nothing_comes_after(path):
    recording = Capture(path, {})
    recording.received(1, "before")
    recording.close()
    recording.received(1, "after")
    recording.close()
    recording.wait()
    assert [line.get("in") for line in read(path)] == [None, "before"]


class Disk:
    """A file that writes when it is told to."""

    name = "slow disk"

    def __init__(self):
        self.spins = threading.Event()
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, text):
        assert self.spins.wait(10)
        self.text += text

    def flush(self):
        pass


@pytest.fixture
def disk(monkeypatch):
    made = Disk()
    monkeypatch.setattr("duologue.wire.capture.Path", lambda _: made)
    made.open = lambda *_, **__: made
    yield made
    made.spins.set()


def test_a_slow_disk_costs_lines_which_are_counted_on_file(disk, monkeypatch):
    monkeypatch.setattr(capture, "WAITING_BYTES", 100)
    recording = Capture("", {})
    for number in range(4):
        recording.received(1, f"{number}" * 40)
    assert recording.dropped == 2
    disk.spins.set()
    while recording._taken > recording._written:
        threading.Event().wait(0.001)
    recording.received(1, "later")
    finish(recording)
    lines = [json.loads(line) for line in disk.text.splitlines()]
    assert [line.get("in", line.get("lost")) for line in lines[1:]] == ["0" * 40, "1" * 40, 2, "later"]


def test_lines_lost_at_the_very_end_are_counted_too(disk, monkeypatch):
    monkeypatch.setattr(capture, "WAITING_BYTES", 100)
    recording = Capture("", {})
    for _ in range(3):
        recording.received(1, "x" * 60)
    recording.close()
    disk.spins.set()
    recording.wait()
    assert json.loads(disk.text.splitlines()[-1])["lost"] == 2


def test_a_disk_that_hangs_costs_two_seconds_at_most(disk, monkeypatch):
    monkeypatch.setattr(capture, "CLOSE_WITHIN", 0.01)
    recording = Capture("", {})
    recording.close()
    recording.wait()
    assert recording._thread.is_alive()
    assert recording._thread.daemon


def test_a_full_disk_is_logged_and_the_session_goes_on(disk, caplog):
    def full(_):
        raise OSError(28, "No space left on device")

    disk.write = full
    with caplog.at_level(logging.ERROR):
        recording = Capture("", {})
        recording.received(1, "one")
        recording._thread.join(5)
    recording.received(1, "more")
    finish(recording)
    assert "No space left" in caplog.text
    assert "slow disk" in caplog.text


def test_what_is_no_json_and_no_utf8_is_written_all_the_same(path):
    recording = Capture(path, {"ssl": object()})
    recording.asked(1, SendContent(TextBlock("half a \ud83d smile")))
    finish(recording)
    head, line = read(path)
    assert "object" in head["session"]["ssl"]
    assert unspell(line["ask"]) == SendContent(TextBlock("half a \ud83d smile"))


def test_what_was_written_is_on_file_before_the_end(path):
    recording = Capture(path, {})
    recording.received(1, "now")
    deadline = threading.Event()
    for _ in range(5000):
        if len(path.read_text().splitlines()) == 2:
            break
        deadline.wait(0.001)
    assert [line.get("in") for line in read(path)] == [None, "now"]
    finish(recording)


async def test_a_whole_session_is_captured_without_its_key(path):
    echo = f"you sent {KEY}"
    async with WireServer(ToyServerCodec, StandIn()) as server:
        transport = ToyTransport(server.url, api_key=KEY, capture=path)
        async with asyncio.timeout(10), RealtimeAgent("", transport, []) as agent:
            await agent.send(TextBlock(echo))
            await agent.commit()
            async with contextlib.aclosing(agent.events()) as events:
                async for event in events:
                    if isinstance(event, TurnComplete):
                        break
        assert server.peer.headers["Authorization"] == f"Bearer {KEY}"
    for thread in threading.enumerate():
        if thread.name == "duologue capture":
            thread.join(5)
    shown = path.read_text()
    assert KEY not in shown
    assert "you sent [hidden]" in shown
    kinds = [next(k for k in ("capture", "open", "out", "in", "ask", "end") if k in line) for line in read(path)]
    assert kinds[:4] == ["capture", "open", "out", "in"]
    asked = [unspell(line["ask"]) for line in read(path) if "ask" in line]
    assert CommitTurn() in asked
