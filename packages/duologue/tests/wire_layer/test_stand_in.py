"""The model of few rules."""

from __future__ import annotations

import array
import asyncio
import contextlib

import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    GoingAway,
    ImageBlock,
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextBlock,
    ToolInputDelta,
    ToolUseEnd,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
)
from duologue.errors import ConnectFailed
from duologue.testing import StandIn, WireServer, assert_no_leaks, virtual_time
from duologue.testing.stand_in import PIECE_SAMPLES, SILENCE_BLOCKS
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.wire import LinkPolicy

LOUD, QUIET = AudioBlock(array.array("h", [9000] * 320).tobytes()), AudioBlock(bytes(640))


class Talk:
    def __init__(self, model, session):
        self.model = model
        self.session = session
        self.events = session.events()
        self.seen = []

    async def until(self, kind, within=30.0):
        async with asyncio.timeout(within):
            async for event in self.events:
                self.seen.append(event)
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"the session ended without {kind}: {self.seen}")

    async def ask(self, text):
        await self.session.send(TextBlock(text))
        await self.session.commit()
        return await self.until(TurnComplete)

    def of(self, kind):
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def words(self):
        return "".join(e.delta for e in self.of(TranscriptDelta))


@contextlib.asynccontextmanager
async def talk(model=None, *, turn_detection=None, policy=None, **server):
    model = model or StandIn()
    async with assert_no_leaks(), WireServer(ToyServerCodec, model, **server) as served:
        transport = ToyTransport(served.url, policy=policy or LinkPolicy)
        session = await transport.connect(system="", tools=[], turn_detection=turn_detection)
        try:
            yield Talk(model, session)
        finally:
            await session.close()


@virtual_time
async def test_it_says_back_what_it_was_told():
    async with talk() as t:
        done = await t.ask("hello there")
        assert done.stop_reason is StopReason.end_turn
        assert t.words == "hello there "
        assert t.model.memory.said == [("user", "hello there"), ("assistant", "hello there")]
        await t.session.commit()
        await t.until(TurnComplete)


@virtual_time
async def test_it_tells_stories_in_numbered_pieces():
    async with talk() as t:
        await t.ask("story 3")
        assert t.words == "word0 word1 word2 "
        pieces = [array.array("h", e.data) for e in t.of(AudioOutputDelta)]
        assert [set(piece) for piece in pieces] == [{n} for n in range(1, 7)]
        assert all(len(piece) == PIECE_SAMPLES for piece in pieces)


@virtual_time
async def test_it_calls_what_it_is_told_to_and_tells_of_the_results():
    async with talk() as t:
        done = await t.ask('call clock\ncall weather {"city": "Rome"}')
        assert done.stop_reason is StopReason.tool_use
        calls = [e.tool_use_id for e in t.of(ToolUseEnd)]
        assert "".join(e.partial_json for e in t.of(ToolInputDelta)) == '{}{"city": "Rome"}'
        await t.session.send_tool_result(calls[0], "clock", "noon")
        await t.session.send_tool_result(calls[1], "weather", "sunny")
        await t.until(TurnComplete)
        assert "the result is sunny" in t.words
        assert [(n, a.tool_use_id, a.content) for n, a in t.model.answers] == [
            (1, calls[0], "noon"),
            (1, calls[1], "sunny"),
        ]
        assert t.model.memory.open_calls == {}


@virtual_time
async def test_it_answers_speech_once_the_user_is_silent():
    async with talk() as t:
        for block in [QUIET] + [LOUD] * 5 + [QUIET] * SILENCE_BLOCKS:
            await t.session.send(block)
        await t.until(TurnComplete)
        assert len(t.of(SpeechStarted)) == len(t.of(SpeechStopped)) == 1
        assert t.model.memory.heard == [LOUD.data * 5 + QUIET.data * SILENCE_BLOCKS]
        assert "I heard" in t.words


@virtual_time
async def test_it_answers_no_speech_where_it_was_told_not_to():
    async with talk(turn_detection=TurnDetection(create_response=False)) as t:
        for block in [LOUD] * 5 + [QUIET] * SILENCE_BLOCKS:
            await t.session.send(block)
        await t.until(SpeechStopped)
        await asyncio.sleep(5)
        await t.session.commit()
        await t.until(TurnComplete)
        assert len(t.of(TurnComplete)) == 1


@virtual_time
async def test_manual_turns_end_by_commit_and_clear_forgets_them():
    async with talk(turn_detection=TurnDetection("manual")) as t:
        await t.session.send(LOUD)
        await t.session.clear()
        for block in [LOUD] * 2 + [QUIET] * 30:
            await t.session.send(block)
        await t.session.commit()
        await t.until(TurnComplete)
        assert t.of(SpeechStarted) == []
        assert t.model.memory.heard == [LOUD.data * 2 + QUIET.data * 30]


@pytest.mark.parametrize("how", ["speech", "interrupt", "commit"])
@pytest.mark.parametrize("interrupts", [True, False])
def test_a_reply_is_cut_by_speech_by_us_and_by_another_question(how, interrupts):
    @virtual_time
    async def check():
        model = StandIn(pace=0.1)
        async with talk(model, turn_detection=TurnDetection(interrupt=interrupts)) as t:
            await t.session.send(TextBlock("story 50"))
            await t.session.commit()
            await t.until(AudioOutputDelta)
            if how == "speech":
                await t.session.send(LOUD)
            elif how == "interrupt":
                await t.session.interrupt()
            else:
                await t.session.commit()
            done = await t.until(TurnComplete)
            assert (done.stop_reason is StopReason.interrupted) == (how != "speech" or interrupts)
            assert len(t.of(Interrupted)) == (how == "commit" or (how == "speech" and interrupts))

    check()


@virtual_time
async def test_pictures_and_updates_are_remembered():
    async with talk() as t:
        await t.session.send(ImageBlock(b"jpeg"))
        await t.session.update(system="be kind")
        await t.session.playback_started()
        await t.ask("so")
        assert t.model.memory.said[:2] == [("user", "[image]"), ("update", "be kind")]


@virtual_time
async def test_its_life_ends_after_a_notice():
    policy = lambda: LinkPolicy(attempts=1)  # noqa: E731
    model = StandIn(life=100.0, notice=10.0, end=(1008, "too old"))
    async with talk(model, policy=policy) as t:
        began = asyncio.get_running_loop().time()
        notice = await t.until(GoingAway, within=200)
        assert (notice.seconds_left, asyncio.get_running_loop().time() - began) == (10.0, pytest.approx(90.0))


@virtual_time
async def test_a_handle_that_it_never_issued_is_refused():
    from duologue.testing.toy import ToyCodec
    from duologue.wire import Endpoint, Opening, WireSession

    async with WireServer(ToyServerCodec, StandIn(), accept=False) as server:
        session = WireSession(lambda _: ToyCodec(Opening("never issued")), Endpoint(server.url, proxy=None))
        with pytest.raises(ConnectFailed, match="session not found"):
            await session.open()
        await session.close()
