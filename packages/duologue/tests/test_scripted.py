from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from duologue import (
    AudioOutputDelta,
    Capabilities,
    ConnectFailed,
    ConnectionLost,
    HearsPlayback,
    Message,
    RealtimeAgent,
    SessionClosed,
    StopReason,
    TextBlock,
    TextDelta,
    TranscriptDelta,
    TruncatesPlayback,
    TurnComplete,
    TurnDetection,
)
from duologue.events import Event
from duologue.testing import (
    CallAnswered,
    Committed,
    ContentSent,
    End,
    Expect,
    PlaybackNoticed,
    ReplyStopped,
    ScriptedSession,
    ScriptedTransport,
    Truncated,
    Wait,
    speech,
    tone,
    virtual_time,
)
from duologue.testing.scripted import Step


async def connect(*script: Step, **kwargs: Any) -> ScriptedSession:
    return await ScriptedTransport(list(script), **kwargs).connect(system="s", tools=[])


async def play(session: ScriptedSession) -> list[Event]:
    return [event async for event in session.events()]


# -- the transport --------------------------------------------------------------------------------------


@virtual_time
async def test_the_arguments_of_every_connection_are_recorded() -> None:
    transport = ScriptedTransport()
    first = await transport.connect(system="one", tools=[])
    detection = TurnDetection("manual")
    second = await transport.connect(
        system="two", tools=[], voice="v", input_audio_format="audio/pcm;rate=8000",
        output_audio_format="audio/pcm;rate=48000", turn_detection=detection,
        history=[Message("user", "hi")], options={"a": 1},
    )  # fmt: skip
    assert transport.sessions == [first, second]
    assert transport.session is second
    assert transport.sent is second.sent
    assert transport.connected_with == [
        {
            "system": "one", "tools": [], "voice": None, "input_audio_format": "audio/pcm;rate=16000",
            "output_audio_format": "audio/pcm;rate=24000", "turn_detection": None, "history": (), "options": None,
        },
        {
            "system": "two", "tools": [], "voice": "v", "input_audio_format": "audio/pcm;rate=8000",
            "output_audio_format": "audio/pcm;rate=48000", "turn_detection": detection,
            "history": (Message("user", "hi"),), "options": {"a": 1},
        },
    ]  # fmt: skip


@virtual_time
async def test_a_connection_can_be_refused() -> None:
    transport = ScriptedTransport(refuse=ConnectFailed("no route"))
    with pytest.raises(ConnectFailed, match="no route"):
        await transport.connect(system="s", tools=[])
    assert transport.sessions == []
    assert len(transport.connected_with) == 1


@virtual_time
async def test_a_function_gives_each_connection_a_script_of_its_own() -> None:
    steps: list[Step] = [TextDelta(0, "a"), End()]
    transport = ScriptedTransport(lambda: iter(steps))
    for _ in range(2):
        assert await play(await transport.connect(system="s", tools=[])) == [TextDelta(0, "a")]


@virtual_time
async def test_capabilities_are_what_the_author_claims() -> None:
    assert (await connect()).capabilities == Capabilities()
    claimed = Capabilities(truncation=True)
    session = await connect(capabilities=claimed)
    assert session.capabilities is claimed
    assert isinstance(session, TruncatesPlayback)
    assert isinstance(session, HearsPlayback)


# -- playing the script ---------------------------------------------------------------------------------


@virtual_time
async def test_events_come_in_order_and_waits_take_time() -> None:
    loop = asyncio.get_running_loop()
    session = await connect(TextDelta(0, "a"), Wait(1.5), TextDelta(0, "b"), End())
    seen = [(event, loop.time()) async for event in session.events()]
    assert [event for event, _ in seen] == [TextDelta(0, "a"), TextDelta(0, "b")]
    assert [at for _, at in seen] == pytest.approx([0.0, 1.5])
    assert session.closed


@virtual_time
async def test_without_an_end_the_session_stays_open_until_it_is_closed() -> None:
    session = await connect(TextDelta(0, "a"))
    playing = asyncio.create_task(play(session))
    await asyncio.sleep(100)
    assert not playing.done()
    await session.close()
    assert await playing == [TextDelta(0, "a")]


@pytest.mark.parametrize("step", [Wait(50), Expect(Committed), TextDelta(0, "b")])
@virtual_time
async def test_closing_ends_the_script_wherever_it_is(step: Step) -> None:
    session = await connect(TextDelta(0, "a"), step, Wait(50), TextDelta(0, "never"), End())
    stream = session.events()
    assert await anext(stream) == TextDelta(0, "a")
    playing = asyncio.create_task(_rest(stream))
    await asyncio.sleep(1)
    await session.close()
    await session.close()
    assert TextDelta(0, "never") not in await playing
    assert asyncio.get_running_loop().time() == pytest.approx(1)


async def _rest(stream: Any) -> list[Event]:
    return [event async for event in stream]


@virtual_time
async def test_a_session_that_is_closed_plays_nothing_more() -> None:
    session = await connect(TextDelta(0, "a"), TextDelta(0, "b"))
    await session.close()
    assert await play(session) == []


@virtual_time
async def test_an_exception_in_the_script_is_what_the_session_dies_of() -> None:
    lost = ConnectionLost("gone")
    session = await connect(TextDelta(0, "a"), lost)
    stream = session.events()
    await anext(stream)
    with pytest.raises(ConnectionLost) as caught:
        await anext(stream)
    assert caught.value is lost
    with pytest.raises(SessionClosed):
        await session.send(TextBlock("anyone?"))


# -- recording and expecting ----------------------------------------------------------------------------


@virtual_time
async def test_everything_the_agent_does_is_recorded_in_order() -> None:
    session = await connect()
    await session.send(TextBlock("hi"))
    await session.send([TextBlock("a"), TextBlock("b")])
    await session.commit()
    await session.interrupt()
    await session.send_tool_result("c1", "look", "seen")
    await session.truncate(item_id="i", heard_ms=40)
    await session.playback_started()
    await session.playback_stopped()
    assert session.sent == [
        ContentSent(TextBlock("hi")),
        ContentSent([TextBlock("a"), TextBlock("b")]),
        Committed(),
        ReplyStopped(),
        CallAnswered("c1", "look", "seen"),
        Truncated("i", 40),
        PlaybackNoticed(started=True),
        PlaybackNoticed(started=False),
    ]


USES: list[Callable[[ScriptedSession], Coroutine[Any, Any, None]]] = [
    lambda s: s.send(TextBlock("x")),
    lambda s: s.commit(),
    lambda s: s.interrupt(),
    lambda s: s.send_tool_result("c", "n", "x"),
    lambda s: s.truncate(item_id="i", heard_ms=1),
    lambda s: s.playback_started(),
    lambda s: s.playback_stopped(),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("ended_by", ["close", "end"])
def test_an_ended_session_takes_nothing(use: Callable[[ScriptedSession], Any], ended_by: str) -> None:
    @virtual_time
    async def main() -> None:
        session = await connect(End())
        await (session.close() if ended_by == "close" else play(session))
        with pytest.raises(SessionClosed, match="the scripted session has ended"):
            await use(session)
        assert session.sent == []

    main()


@pytest.mark.parametrize(
    "expected",
    [
        Expect(ContentSent(TextBlock("go"))),
        Expect(ContentSent),
        Expect(ContentSent, where=lambda record: record.content == TextBlock("go")),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_an_expectation_waits_for_what_fits(expected: Expect, first: bool) -> None:
    """Whether the agent acted before or acts later."""

    @virtual_time
    async def main() -> None:
        session = await connect(expected, TextDelta(0, "a"), End())
        if first:
            await session.send(TextBlock("go"))
        playing = asyncio.create_task(play(session))
        await asyncio.sleep(1)
        assert playing.done() is first
        if not first:
            await session.commit()
            await asyncio.sleep(1)
            assert not playing.done(), "something else was taken for it"
            await session.send(TextBlock("go"))
        assert await playing == [TextDelta(0, "a")]

    main()


@pytest.mark.parametrize(
    ("expected", "fits"),
    [
        (Expect(Committed()), True),
        (Expect(Committed), True),
        (Expect(ReplyStopped), False),
        (Expect(ReplyStopped()), False),
        (Expect(Committed, where=lambda _: False), False),
        (Expect(Committed(), where=lambda _: False), False),
    ],
)
def test_an_expectation_knows_what_fits(expected: Expect, fits: bool) -> None:
    assert expected.fits(Committed()) is fits


@virtual_time
async def test_a_record_serves_one_expectation() -> None:
    session = await connect(Expect(Committed), TextDelta(0, "a"), Expect(Committed), TextDelta(0, "b"), End())
    await session.commit()
    playing = asyncio.create_task(play(session))
    await asyncio.sleep(1)
    assert not playing.done()
    await session.commit()
    assert await playing == [TextDelta(0, "a"), TextDelta(0, "b")]


@virtual_time
async def test_expectations_take_records_in_any_order() -> None:
    session = await connect(Expect(ReplyStopped), Expect(Committed), TextDelta(0, "a"), End())
    await session.commit()
    await session.interrupt()
    assert await play(session) == [TextDelta(0, "a")]


@virtual_time
async def test_an_expectation_that_is_not_met_fails_and_says_what_came_instead() -> None:
    session = await connect(Expect(Committed, within=3.0), TextDelta(0, "a"))
    await session.send(TextBlock("hi"))
    with pytest.raises(AssertionError, match=r"the agent never did .*Committed.*; it did \[ContentSent") as caught:
        await play(session)
    assert asyncio.get_running_loop().time() == pytest.approx(3)
    assert caught.value.__suppress_context__


@virtual_time
async def test_through_an_agent_a_failing_expectation_fails_the_test() -> None:
    agent = RealtimeAgent("s", ScriptedTransport([Expect(Committed, within=1.0)]))
    await agent.connect()
    with pytest.raises(AssertionError, match="the agent never did"):
        async for _ in agent.events():
            pass
    await agent.close()


@pytest.mark.parametrize(
    ("method", "use"),
    [
        ("send", USES[0]),
        ("commit", USES[1]),
        ("interrupt", USES[2]),
        ("send_tool_result", USES[3]),
        ("close", lambda s: s.close()),
    ],
)
def test_a_dead_peer_hangs_where_it_is_told_to(method: Any, use: Callable[[ScriptedSession], Any]) -> None:
    @virtual_time
    async def main() -> None:
        session = await connect(hang=[method])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await use(session)
        assert len(session.sent) == (method != "close"), "it was recorded all the same"
        assert session.closed is (method == "close")

    main()


# -- speech ---------------------------------------------------------------------------------------------


def test_a_tone_is_quiet_and_has_the_asked_length_and_pitch() -> None:
    samples = struct.unpack("<2400h", tone(100))
    assert 5900 <= max(samples) <= 6000
    assert -6000 <= min(samples) <= -5900
    assert sum(1 for a, b in itertools.pairwise(samples) if a < 0 <= b) == pytest.approx(44, abs=1)
    assert len(tone(100, rate=8000)) == 1600
    assert tone(0) == b""


def test_speech_is_transcript_audio_and_an_end() -> None:
    first, *pieces, final, end = speech("hello", response_id="r", item_id="i")
    assert first == TranscriptDelta("assistant", "hello")
    assert final == TranscriptDelta("assistant", "", final=True)
    assert end == TurnComplete(StopReason.end_turn)
    assert all(isinstance(p, AudioOutputDelta) and (p.response_id, p.item_id) == ("r", "i") for p in pieces)
    assert sum(len(p.data) for p in pieces if isinstance(p, AudioOutputDelta)) == 300 * 48, "60 ms a character"
    assert (getattr(first, "item_id", ""), getattr(final, "item_id", "")) == ("i", "i")
    assert getattr(end, "response_id", "") == "r"


def test_speech_can_have_any_length_and_no_end() -> None:
    *events, last = speech("hello", ms=250, complete=False)
    assert [len(e.data) // 48 for e in events if isinstance(e, AudioOutputDelta)] == [100, 100, 50]
    assert last == TranscriptDelta("assistant", "", final=True)
    assert [type(e) for e in speech("hello", ms=0)] == [TranscriptDelta, TranscriptDelta, TurnComplete]


@virtual_time
async def test_a_saying_backend_answers_the_first_turn_of_every_connection() -> None:
    transport = ScriptedTransport.saying("Hello there.", capabilities=Capabilities(manual_turns=True))
    assert transport.capabilities.manual_turns
    for _ in range(2):
        session = await transport.connect(system="s", tools=[])
        playing = asyncio.create_task(play(session))
        await asyncio.sleep(1)
        await session.commit()
        await asyncio.sleep(1)
        await session.close()
        assert await playing == list(speech("Hello there."))
