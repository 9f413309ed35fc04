"""The agent's life: connecting, sending, events, closing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    Capabilities,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    Error,
    ImageBlock,
    LocalProtocolError,
    Message,
    Problem,
    ProviderEvent,
    RealtimeAgent,
    SessionClosed,
    SessionStarted,
    SpeechStarted,
    TextBlock,
    Tool,
    TranscriptDelta,
    TurnComplete,
    TurnDetection,
    UnsupportedFormat,
)
from duologue import engine as engine_module
from duologue.testing import (
    CallAnswered,
    Committed,
    ContentSent,
    End,
    Expect,
    ScriptedTransport,
    Wait,
    assert_no_leaks,
    speech,
    tone,
    virtual_time,
)


async def drain(agent: RealtimeAgent) -> list[Any]:
    """Everything until the session ends."""
    return [event async for event in agent.events()]


@virtual_time
async def test_use_before_connect_says_what_to_do() -> None:
    agent = RealtimeAgent("", ScriptedTransport())
    with pytest.raises(LocalProtocolError, match="async with"):
        await agent.send(TextBlock("hi"))
    with pytest.raises(RuntimeError):
        agent.events()
    with pytest.raises(RuntimeError):
        _ = agent.session
    await agent.close()
    assert agent.history == ()


@virtual_time
async def test_a_second_connect_is_refused_and_the_session_goes_on() -> None:
    async with RealtimeAgent("", ScriptedTransport([SessionStarted(), End()])) as agent:
        with pytest.raises(RuntimeError, match="close"):
            await agent.connect()
        assert await drain(agent) == [SessionStarted()]


@virtual_time
async def test_connect_while_connecting_is_refused() -> None:
    class Slow(ScriptedTransport):
        async def connect(self, **kwargs: Any) -> Any:
            await asyncio.sleep(1)
            return await super().connect(**kwargs)

    agent = RealtimeAgent("", Slow())
    first = asyncio.create_task(agent.connect())
    await asyncio.sleep(0.5)
    with pytest.raises(LocalProtocolError):
        await agent.connect()
    await first
    await agent.close()


@virtual_time
async def test_after_close_an_agent_connects_again_and_its_history_goes_along() -> None:
    transport = ScriptedTransport.saying("Hello.")
    agent = RealtimeAgent("", transport)
    for _ in range(2):
        async with agent:
            await agent.send(TextBlock("Hi"))
            async for event in agent.events():
                if isinstance(event, TurnComplete):
                    break
    assert [(m.role, m.text) for m in agent.history] == [("user", "Hi"), ("assistant", "Hello.")] * 2
    assert [len(c["history"]) for c in transport.connected_with] == [0, 2]


@virtual_time
async def test_the_last_three_parameters_are_passed_only_when_set() -> None:
    class Documented:
        async def connect(
            self,
            *,
            system: str,
            tools: list[Tool],
            voice: str | None,
            input_audio_format: str,
            output_audio_format: str,
        ) -> Any:
            return await ScriptedTransport().connect(system=system, tools=tools)

    async with RealtimeAgent("", Documented()):  # type: ignore[arg-type]
        pass
    transport = ScriptedTransport()
    detection = TurnDetection(mode="manual")
    before = (Message("user", "Hi"),)
    async with RealtimeAgent(
        "s", transport, voice="v", turn_detection=detection, history=before, options={"x": 1}
    ) as agent:
        assert (agent.system, agent.voice, agent.raise_on_error, agent.close_timeout) == ("s", "v", True, 5.0)
    (given,) = transport.connected_with
    assert (given["turn_detection"], given["history"], given["options"]) == (detection, before, {"x": 1})


@virtual_time
async def test_a_refused_connection_leaves_nothing_and_can_be_tried_again() -> None:
    transport = ScriptedTransport(refuse=ConnectFailed("no"))
    agent = RealtimeAgent("", transport)
    async with assert_no_leaks():
        with pytest.raises(ConnectFailed):
            await agent.connect()
    transport.refuse = None
    async with agent:
        pass


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'a'"):
        RealtimeAgent("", ScriptedTransport(), [Tool("a", None), Tool("a", None)])


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(UnsupportedFormat):
        RealtimeAgent("", ScriptedTransport(), input_audio_format="text/plain")


@virtual_time
async def test_a_tool_that_cannot_be_described_is_refused_at_connect() -> None:
    def odd(*args: int) -> None:
        """Take positions."""

    with pytest.raises(ConfigurationError, match="args"):
        await RealtimeAgent("", ScriptedTransport(), [Tool("odd", odd)]).connect()


@virtual_time
async def test_what_is_sent_arrives_and_text_asks_for_a_reply() -> None:
    transport = ScriptedTransport()
    image = ImageBlock(b"jpeg")
    async with RealtimeAgent("", transport) as agent:
        await agent.send(TextBlock("one"))
        await agent.send(TextBlock("two"), respond=False)
        await agent.send(image)
        await agent.send([TextBlock("three"), image])
        await agent.send(image, respond=True)
        await agent.commit()
        sent = list(transport.sent)
    assert sent == [
        ContentSent(TextBlock("one")),
        Committed(),
        ContentSent(TextBlock("two")),
        ContentSent(image),
        ContentSent([TextBlock("three"), image]),
        Committed(),
        ContentSent(image),
        Committed(),
        Committed(),
    ]
    assert [m.text for m in agent.history] == ["one", "two", "three"]


@virtual_time
async def test_bare_audio_is_labelled_with_the_agreed_rate() -> None:
    transport = ScriptedTransport(capabilities=Capabilities(input_rates=(8000, 16000)))
    async with RealtimeAgent("", transport) as agent:
        await agent.send(AudioBlock(b"\0\0"))
        await agent.send(AudioBlock(b"\0\0", "audio/pcm;rate=8000"))
        sent = list(transport.sent)
    assert sent == [
        ContentSent(AudioBlock(b"\0\0", "audio/pcm;rate=16000")),
        ContentSent(AudioBlock(b"\0\0", "audio/pcm;rate=8000")),
    ]


@virtual_time
async def test_half_a_sample_is_refused_and_the_session_goes_on() -> None:
    async with RealtimeAgent("", ScriptedTransport()) as agent:
        with pytest.raises(UnsupportedFormat, match="3 bytes"):
            await agent.send(AudioBlock(b"\0\0\0"))
        await agent.send(AudioBlock(b"\0\0"))


@virtual_time
async def test_all_events_reach_the_application_in_order() -> None:
    script = [SessionStarted(), SpeechStarted(), *speech("Hi.", ms=250), ProviderEvent("x", "y", {}), End()]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        seen = await drain(agent)
    assert seen == script[:-1]
    assert all(e.response_id for e in seen if isinstance(e, AudioOutputDelta | TurnComplete))


@virtual_time
async def test_there_is_one_consumer_at_a_time_and_a_later_one_goes_on() -> None:
    async with RealtimeAgent("", ScriptedTransport([*speech("Hi.", ms=100), End()])) as agent:
        stream = agent.events()
        assert isinstance(await anext(stream), TranscriptDelta)
        with pytest.raises(RuntimeError, match="one at a time"):
            await anext(agent.events())
        await stream.aclose()  # type: ignore[attr-defined]
        assert isinstance((await drain(agent))[0], AudioOutputDelta)


@virtual_time
async def test_a_session_that_dies_wakes_its_consumer_with_the_error() -> None:
    lost = ConnectionLost("gone")
    async with RealtimeAgent("", ScriptedTransport([Wait(1), lost])) as agent:
        with pytest.raises(ConnectionLost) as caught:
            await drain(agent)
    assert caught.value is lost


@virtual_time
async def test_without_raising_the_error_is_an_event_and_the_stream_ends() -> None:
    lost = ConnectionLost("gone")
    async with RealtimeAgent("", ScriptedTransport([lost]), raise_on_error=False) as agent:
        assert await drain(agent) == [Error(lost)]


@virtual_time
async def test_after_an_error_event_the_stream_goes_on_if_the_session_does() -> None:
    script = [Error(ConnectionLost("hiccup")), SessionStarted(), End()]
    async with RealtimeAgent("", ScriptedTransport(script), raise_on_error=False) as agent:
        assert [type(e) for e in await drain(agent)] == [Error, SessionStarted]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        with pytest.raises(ConnectionLost):
            await drain(agent)
        assert await drain(agent) == [SessionStarted()]


@virtual_time
async def test_after_the_sessions_end_sending_says_so() -> None:
    async with RealtimeAgent("", ScriptedTransport([End()])) as agent:
        assert await drain(agent) == []
        for use in (agent.send(TextBlock("x")), agent.commit(), agent.send_tool_result("a", "b")):
            with pytest.raises(SessionClosed, match="connect again"):
                await use
        await agent.interrupt()


@virtual_time
async def test_a_slow_consumer_stops_the_reading_at_the_stated_bytes_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "MAX_WAITING_BYTES", 50_000)
    script = [*speech("x", ms=5000), End()]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        await asyncio.sleep(10)
        inbox = agent._engine.inbox  # type: ignore[union-attr]
        assert 50_000 <= inbox.waiting_bytes < 60_000
        assert [type(e) for e in await drain(agent)] == [type(e) for e in script[:-1]]


@virtual_time
async def test_an_interruption_makes_room_for_a_reader_that_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_WAITING_BYTES", 50_000)
    script = [*speech("x", ms=5000, response_id="r1"), ProviderEvent("x", "y", {}), End()]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        await asyncio.sleep(1)
        await agent.interrupt()
        seen = await drain(agent)
        assert ProviderEvent("x", "y", {}) in seen
        assert not [e for e in seen if isinstance(e, AudioOutputDelta)]
        assert agent._engine.inbox.audio_dropped == 50  # type: ignore[union-attr]


@virtual_time
async def test_a_bad_audio_format_from_the_session_is_a_problem_and_no_end() -> None:
    script = [AudioOutputDelta(b"\0\0", "nonsense"), SessionStarted(), End()]
    async with RealtimeAgent("", ScriptedTransport(script)) as agent:
        assert [type(e) for e in await drain(agent)] == [Problem, SessionStarted]


class Halver:
    """A resampler from 48 to 24 kHz that holds one sample back."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        assert (from_rate, to_rate) == (48000, 24000)
        self._held = b""

    def process(self, pcm: bytes) -> bytes:
        pcm = self._held + pcm
        self._held = pcm[-4:]
        return b"".join(pcm[i : i + 2] for i in range(0, len(pcm) - 4, 4))

    def flush(self) -> bytes:
        return self._held[:2]


@virtual_time
async def test_speech_at_another_rate_is_converted_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.rates.find_resampler", lambda: Halver)
    pcm = tone(1000, rate=48000)
    pieces = [AudioOutputDelta(pcm[i : i + 9600], "audio/pcm;rate=48000") for i in range(0, len(pcm), 9600)]
    turn = list(speech("x", ms=0))
    async with RealtimeAgent("", ScriptedTransport([*pieces, *turn, End()])) as agent:
        seen = await drain(agent)
    audio = [e for e in seen if isinstance(e, AudioOutputDelta)]
    assert {e.media_type for e in audio} == {"audio/pcm;rate=24000"}
    assert sum(len(e.data) for e in audio) == 48000
    assert isinstance(seen[-1], TurnComplete), "what the resampler held back comes before the end of the turn"


@virtual_time
async def test_answers_the_session_does_not_take_stop_the_reading_but_not_the_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from duologue import ToolUseEnd, ToolUseStart

    monkeypatch.setattr(engine_module, "MAX_OUTBOX", 5)
    calls = [e for n in range(50) for e in (ToolUseStart(0, f"c{n}", "nope"), ToolUseEnd(0, f"c{n}"))]
    transport = ScriptedTransport(calls, hang=["send_tool_result"])
    loop = asyncio.get_running_loop()
    async with assert_no_leaks():
        async with RealtimeAgent("", transport) as agent:
            await asyncio.sleep(1)
            assert len(agent._engine._outbox) == 6  # type: ignore[union-attr]
            began = loop.time()
        assert loop.time() - began < 10
    assert len([r for r in transport.sent if isinstance(r, CallAnswered)]) == 1


@virtual_time
async def test_the_ten_line_program_of_the_docstring_works(capsys: pytest.CaptureFixture[str]) -> None:
    transport = ScriptedTransport.saying("Hello there.")
    async with RealtimeAgent("You are brief.", transport) as agent:
        await agent.send(TextBlock("Hi!"))
        async for event in agent.events():
            match event:
                case TranscriptDelta(role="assistant", delta=text):
                    print(text)  # noqa: T201 - the program prints
                case TurnComplete():
                    break
    assert capsys.readouterr().out.strip() == "Hello there."


@virtual_time
async def test_an_expectation_that_is_not_met_fails_the_test() -> None:
    async with RealtimeAgent("", ScriptedTransport([Expect(Committed)])) as agent:
        with pytest.raises(AssertionError, match="never did"):
            await drain(agent)
