"""The screen, painted without a terminal and driven by keys."""

import asyncio
import contextlib

import pytest
from duologue.errors import DuologueError
from duologue.events import Interrupted, SpeechStopped, ToolStarted, TranscriptDelta
from duologue.testing import assert_no_leaks
from duologue.types import Message
from duologue_cli.controls import Status
from duologue_cli.scene import Scene
from duologue_cli.screen import Screen, plain
from duologue_cli.terminal import Terminal
from textual.widgets import Input


class Hands:
    """Controls that note what was asked of them."""

    def __init__(self):
        self.muted = self.push_to_talk_on = self.talking = self.playing = False
        self.counters = {}
        self.done = []

    def status(self):
        return Status(12.0, self.playing, -20.0, -30.0, self.muted, self.push_to_talk_on, self.talking, self.counters)

    def mute(self, muted):
        self.muted = muted

    def push_to_talk(self, wanted):
        self.push_to_talk_on = wanted

    def talk(self, pressed):
        self.talking = pressed

    def interrupt(self):
        self.done.append("interrupt")

    def type(self, text):
        self.done.append(text)


class Stage:
    """A screen that is up, with what it shows and what it asked for."""

    def __init__(self, pilot, screen, stops, left):
        self.pilot, self.screen, self.stops, self.left = pilot, screen, stops, left
        self.scene, self.hands = screen.scene, screen.controls

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def text(self):
        """What stands on the terminal."""
        self.screen.paint()
        await self.pilot.pause()
        lines = self.screen.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in lines)


@contextlib.asynccontextmanager
async def stage(*, controls=True, size=(90, 24)):
    stops, left = [], []
    screen = Screen(Scene(), "local, echo cancelled", stops.append, lambda: left.append(True))
    if controls:
        screen.controls = Hands()
    async with screen.run_test(size=size) as pilot:
        yield Stage(pilot, screen, stops, left)


async def test_both_sides_their_levels_and_the_state_are_shown():
    async with stage() as shown:
        shown.scene.event(TranscriptDelta("user", "What time is it?", True, item_id="u"), 1.0)
        shown.scene.event(TranscriptDelta("assistant", "It is noon.", item_id="a", response_id="r"), 2.0)
        shown.hands.playing = True
        text = await shown.text()
    assert "▶ speaking" in text
    assert "00:12" in text
    assert "-20 dB" in text
    assert "-30 dB" in text
    assert "you    What time is it?" in text
    assert "agent  It is noon." in text


async def test_a_reply_grows_on_its_line_and_is_struck_out_where_nobody_heard_it():
    async with stage() as shown:
        shown.scene.event(TranscriptDelta("assistant", "One two", item_id="a", response_id="r"), 1.0)
        assert "agent  One two" in await shown.text()
        shown.scene.event(TranscriptDelta("assistant", " three.", item_id="a", response_id="r"), 2.0)
        shown.scene.event(Interrupted("r", 900), 2.0, Message("assistant", "One", "a", heard=False))
        text = await shown.text()
        assert text.count("agent  ") == 1
        assert "One ✂ two three. (interrupted after 0.9 s)" in text


async def test_a_running_tool_counts_its_time():
    async with stage() as shown:
        shown.scene.event(ToolStarted("c", "look", {}), 10.5)
        assert "look()  1.5 s …" in await shown.text()


async def test_counters_show_only_when_something_was_lost():
    async with stage() as shown:
        assert "dropped" not in await shown.text()
        shown.hands.counters = {"microphone chunks dropped": 4}
        assert "microphone chunks dropped: 4" in await shown.text()


async def test_loading_is_shown_until_there_is_something_to_control():
    async with stage(controls=False) as shown:
        shown.scene.begin("Loading the local models...")
        assert "… loading     Loading the local models..." in await shown.text()
        await shown.press("m", "i", "space", "p")  # there is nothing to mute yet
        shown.screen.controls = Hands()
        shown.scene.done("ready in 1.0 s")
        assert "● listening" in await shown.text()


async def test_the_newest_is_in_sight_and_the_oldest_leaves_the_screen(monkeypatch):
    monkeypatch.setattr("duologue_cli.scene.KEPT", 40)
    async with stage() as shown:
        for n in range(60):
            shown.scene.notice(f"line {n}.")
        text = await shown.text()
        assert "line 59." in text
        assert "older entries left out: 20" in text
        assert len(shown.screen.query("#talk Static")) == 40


async def test_one_can_look_back_while_the_talk_goes_on():
    async with stage() as shown:
        for n in range(60):
            shown.scene.notice(f"line {n}.")
        assert "line 59." in await shown.text()
        await shown.press("home")
        shown.scene.notice("line 60.")
        text = await shown.text()
        assert "line 0." in text
        assert "line 60." not in text


async def test_keys_mute_talk_and_interrupt():
    async with stage() as shown:
        await shown.press("m")
        assert shown.hands.muted
        assert "muted" in await shown.text()
        await shown.press("m", "p")
        assert (shown.hands.muted, shown.hands.push_to_talk_on) == (False, True)
        await shown.press("space")
        assert shown.hands.talking
        assert "on air" in await shown.text()
        await shown.press("space", "i", "escape")
        assert (shown.hands.talking, shown.hands.done) == (False, ["interrupt", "interrupt"])


async def test_what_is_typed_is_said_and_its_letters_are_no_keys():
    async with stage() as shown:
        await shown.press("t", *"quiet mi", "enter")
        assert (shown.hands.done, shown.hands.muted, shown.stops) == (["quiet mi"], False, [])
        await shown.press("t", "x", "escape")
        assert not shown.screen.query_one("#line", Input).has_class("open")
        await shown.press("t", "enter", "m")
        assert (shown.hands.done, shown.hands.muted) == (["quiet mi"], True)


async def test_q_quits_and_ctrl_c_ends_and_the_second_one_at_once():
    async with stage() as shown:
        await shown.press("q")
        assert shown.stops == [None]
        await shown.press("t", "ctrl+c")
        assert (shown.stops, shown.left) == ([None, 2], [])
        await shown.press("ctrl+c")
        assert shown.left == [True]


async def test_what_a_tool_prints_is_a_note():
    async with stage() as shown:
        print("a tool speaks")
        await shown.pilot.pause()
        assert "a tool speaks" in await shown.text()


async def test_the_screen_ends_with_its_body_and_leaves_no_task_and_no_thread():
    async with assert_no_leaks():
        screen = Screen(Scene(), "local", [].append)
        async with screen.shown(Terminal(), headless=True):
            assert screen.is_running
        assert not screen.is_running


async def test_the_screen_ends_when_the_body_is_cancelled():
    async def body():
        async with screen.shown(Terminal(), headless=True):
            up.set()
            await asyncio.Event().wait()

    async with assert_no_leaks():
        up, screen = asyncio.Event(), Screen(Scene(), "local", [].append)
        task = asyncio.ensure_future(body())
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not screen.is_running


async def test_a_screen_that_breaks_down_stops_the_conversation():
    def break_down():
        raise ZeroDivisionError

    async def body():
        async with screen.shown(terminal, headless=True):
            screen.each_paint = break_down
            await stopped.wait()

    async with assert_no_leaks():
        stopped, terminal = asyncio.Event(), Terminal()
        screen = Screen(Scene(), "local", lambda number: stopped.set())
        with pytest.raises(DuologueError, match="--no-tui"):
            await body()
        assert not terminal.painted


async def test_the_talk_can_be_printed_when_the_screen_has_gone():
    from rich.console import Console

    scene = Scene()
    scene.event(SpeechStopped(), 0.0)
    scene.event(TranscriptDelta("assistant", "Hello.", item_id="a"), 1.0)
    console = Console(width=40)
    with console.capture() as capture:
        for row in plain(list(scene.entries), 3):
            console.print(row)
    assert [line.rstrip() for line in capture.get().splitlines()] == ["(3 older entries)", "agent  Hello."]
