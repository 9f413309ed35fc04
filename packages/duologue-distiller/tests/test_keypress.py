"""The space bar: on a pseudo-terminal, and without one."""

import asyncio
import os
import sys
import types

import pytest
from duologue.errors import LocalProtocolError
from duologue_distiller import CancelOnKeypress, keypress
from duologue_distiller.distiller.utils import realtime_helper

posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")


@pytest.fixture
def terminal(monkeypatch):
    import pty
    import termios

    user, program = pty.openpty()
    with os.fdopen(program, "r", closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        before = termios.tcgetattr(program)
        yield types.SimpleNamespace(
            press=lambda keys: os.write(user, keys),
            restored=lambda: termios.tcgetattr(program) == before,
            hang_up=lambda: os.close(user),
        )
    os.close(program)


async def within(event, seconds=5.0):
    async with asyncio.timeout(seconds):
        await event.wait()


def test_it_is_where_the_official_client_has_it():
    assert realtime_helper.CancelOnKeypress is CancelOnKeypress


@posix
async def test_space_sets_the_event_again_and_again(terminal):
    async with CancelOnKeypress() as event:
        assert not terminal.restored()
        for keys in (b" ", b"ab c", b"  "):
            terminal.press(keys)
            await within(event)
            event.clear()
    assert terminal.restored()


@posix
async def test_other_keys_do_nothing(terminal):
    async with CancelOnKeypress() as event:
        terminal.press(b"abc\n")
        terminal.press(b" ")
        await within(event)
    assert terminal.restored()


@posix
@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, KeyboardInterrupt])
async def test_the_terminal_is_restored_however_it_ends(terminal, error):
    with pytest.raises(error):
        async with CancelOnKeypress():
            raise error
    assert terminal.restored()


@posix
async def test_a_terminal_that_hangs_up_sets_nothing(terminal):
    async with CancelOnKeypress() as event:
        terminal.hang_up()
        await asyncio.sleep(0.05)
        assert not event.is_set()


@posix
async def test_it_is_entered_once(terminal):
    keys = CancelOnKeypress()
    async with keys:
        with pytest.raises(LocalProtocolError):
            await keys.__aenter__()
    async with keys:
        assert not terminal.restored()
    assert terminal.restored()


@pytest.mark.parametrize("platform", ["linux", "win32"])
async def test_without_a_terminal_it_says_so_once_and_never_fires(monkeypatch, caplog, platform):
    monkeypatch.setattr(keypress.sys, "platform", platform)
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        async with CancelOnKeypress() as event:
            await asyncio.sleep(0)
            assert not event.is_set()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    monkeypatch.setattr(sys, "stdin", None)
    async with CancelOnKeypress() as event:
        assert not event.is_set()


async def test_on_windows_keys_are_asked_for(monkeypatch):
    keys = list("ab ")
    console = types.SimpleNamespace(kbhit=lambda: bool(keys), getwch=lambda: keys.pop(0))
    monkeypatch.setitem(sys.modules, "msvcrt", console)
    monkeypatch.setattr(keypress.sys, "platform", "win32")
    monkeypatch.setattr(keypress, "_terminal", lambda: 0)
    async with CancelOnKeypress() as event:
        await within(event)
    assert not keys
