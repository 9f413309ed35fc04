"""The session's rules, on scripted stages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from duologue import AudioBlock, ImageBlock, Message, TextBlock, Tool, TurnDetection
from duologue.errors import ConfigurationError, SessionClosed, UnsupportedFormat
from duologue.events import (
    AudioOutputDelta,
    Interrupted,
    Problem,
    ProviderEvent,
    SpeechStarted,
    SpeechStopped,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import assert_no_leaks
from duologue.types import StopReason
from duologue_local import BargeIn, ToolCall
from duologue_local.session import LocalSession
from local_kit import WORD_MS, Reader, Stages, silence, speech

Make = Callable[..., Stages]
TURN = speech(320) + silence(352)


@asynccontextmanager
async def open_session(
    stages: Stages, *, transport: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[LocalSession, Reader]]:
    given: dict[str, Any] = {"system": "Be brief.", "tools": [], **options}
    async with assert_no_leaks():
        session = await stages.transport(**(transport or {})).connect(**given)
        reader = Reader(session)
        try:
            yield session, reader
        finally:
            await session.close()
            await reader.task


async def say(session: LocalSession, pcm: bytes = TURN) -> None:
    await session.send(AudioBlock(pcm, "audio/pcm;rate=16000"))


async def test_a_spoken_turn_is_answered(scripted: Make) -> None:
    stages = scripted(asr=("What is it?",), llm=("It is a test. Nothing more.",))
    async with open_session(stages) as (session, reader):
        await say(session)
        done = await reader.wait(TurnComplete)
        assert reader.names() == [
            "SessionStarted",
            "SpeechStarted",
            "SpeechStopped",
            "TranscriptDelta",
            "TurnComplete",
        ]
        assert (done.stop_reason, done.response_id) == (StopReason.end_turn, "response-1")
        assert done.usage is not None
        assert done.usage.output_tokens == 6
        assert reader.said("user") == "What is it?"
        assert reader.said() == "It is a test. Nothing more."
        assert reader.audio_ms("response-1") == 6 * WORD_MS
        assert {e.item_id for e in reader.of(AudioOutputDelta)} == {"reply-1"}
        assert {e.media_type for e in reader.of(AudioOutputDelta)} == {"audio/pcm;rate=24000"}
        assert all(20 <= len(e.data) / 48 <= 120 for e in reader.of(AudioOutputDelta))
        users = {e.item_id for e in (*reader.of(SpeechStarted), *reader.of(SpeechStopped))}
        assert users == {"user-1"}


async def test_words_carry_their_times_in_the_response(scripted: Make) -> None:
    stages = scripted(llm=("One two. Three four.",))
    async with open_session(stages) as (session, reader):
        await session.send(TextBlock("Count."))
        await session.commit()
        await reader.wait(TurnComplete)
        words = [w for e in reader.of(TranscriptDelta) for w in e.words]
        assert [(w.text, w.end_ms) for w in words] == [("One", 100), ("two.", 200), ("Three", 300), ("four.", 400)]
        assert {e.started_at for e in reader.of(TranscriptDelta) if e.role == "assistant"} != {None}
        assert reader.of(TranscriptDelta)[-1].final


async def test_latency_parts_sum_to_the_whole(scripted: Make) -> None:
    stages = scripted(asr=("Hello.",), llm=("Hello to you.",))
    async with open_session(stages) as (session, reader):
        await say(session)
        report = await reader.wait(ProviderEvent, lambda e: e.kind == "latency")
        assert isinstance(reader.events[reader.events.index(report) + 1], TranscriptDelta)
        first = await reader.wait(AudioOutputDelta)
        stopped = reader.of(SpeechStopped)[0]
        parts = [report.data[part] for part in ("end_of_turn", "asr", "llm_first", "tts_first")]
        assert all(part >= 0 for part in parts)
        assert report.data["response_id"] == first.response_id
        started = reader.of(TranscriptDelta)[1].started_at
        assert started is not None
        assert stopped.at is not None
        assert sum(parts) == pytest.approx((started - stopped.at) * 1000, abs=1)


async def test_recognition_starts_in_the_pause_and_is_kept(scripted: Make) -> None:
    stages = scripted(asr=("One.",))
    async with open_session(stages) as (session, reader):
        await say(session, speech(320) + silence(192))
        while not stages.asr.heard:
            await asyncio.sleep(0.005)
        await say(session, silence(160))
        await reader.wait(TranscriptDelta, lambda e: e.final)
        assert len(stages.asr.heard) == 1
        assert stages.asr.heard[0].strip(b"\0") == speech(320).strip(b"\0")


async def test_a_pause_that_was_none_is_recognised_as_a_whole(scripted: Make) -> None:
    stages = scripted(asr=("One", "One two."))
    async with open_session(stages) as (session, reader):
        await say(session, speech(320) + silence(192))
        while not stages.asr.heard:
            await asyncio.sleep(0.005)
        await say(session, speech(160) + silence(352))
        await reader.wait(TranscriptDelta, lambda e: e.final)
        assert reader.said("user") == "One two."
        assert len(reader.of(SpeechStopped)) == 1


async def test_noise_gets_no_reply(scripted: Make) -> None:
    stages = scripted(asr=("", "Hello."))
    async with open_session(stages) as (session, reader):
        await say(session)
        await reader.wait(TranscriptDelta, lambda e: e.role == "user" and e.final and not e.delta)
        await say(session)
        await reader.wait(TurnComplete)
        assert [p for n in range(len(stages.llm.requests)) for p in stages.llm.prompt(n)] == [("user", "Hello.")]


async def test_a_blip_of_three_frames_gets_no_reply(scripted: Make) -> None:
    """It begins a turn, since speech may follow; by itself it is too short for any word."""
    stages = scripted(asr=("You.", "Hello."))
    async with open_session(stages) as (session, reader):
        await say(session, speech(96) + silence(352))
        await reader.wait(TranscriptDelta, lambda e: e.role == "user" and e.final and not e.delta)
        await say(session)
        await reader.wait(TurnComplete)
        assert stages.llm.prompt() == [("user", "Hello.")]


async def test_speech_during_playback_cuts_the_reply(scripted: Make) -> None:
    """Order of events, no audio after, and the next prompt holds only what was heard."""
    told = [f"w{number}" for number in range(60)]
    stages = scripted(asr=("Tell me.", "Stop it."), llm=(" ".join(told), "Fine."))
    async with open_session(stages) as (session, reader):
        await say(session)
        await reader.wait(AudioOutputDelta)
        began = asyncio.get_running_loop().time()
        await reader.wait(TranscriptDelta, lambda e: e.role == "assistant" and e.final)
        await asyncio.sleep(0.25)
        await say(session, speech(320))
        await reader.wait(Interrupted)
        heard_ms = (asyncio.get_running_loop().time() - began) * 1000
        await reader.wait(TurnComplete, lambda e: e.stop_reason is StopReason.interrupted)
        cut = [n for n in reader.names() if n != "TranscriptDelta"]
        assert cut[-3:] == ["SpeechStarted", "Interrupted", "TurnComplete"]
        assert [e.response_id for e in reader.of(Interrupted)] == ["response-1"]
        await say(session, silence(352))
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        [_, (role, heard), last] = stages.llm.prompt()
        assert role == "assistant"
        assert heard.split() == told[: len(heard.split())]
        assert heard_ms - 3 * WORD_MS < len(heard.split()) * WORD_MS <= heard_ms + WORD_MS
        assert last == ("user", "Stop it.")
        assert len([e for e in reader.of(TurnComplete) if e.response_id == "response-1"]) == 1


async def test_a_cut_stops_model_and_voice_at_once(scripted: Make) -> None:
    stages = scripted(asr=("Tell me.", "Stop."), llm=("First sentence here. | Second sentence. Third.", "Fine."))
    async with open_session(stages) as (session, reader):
        await say(session)
        await reader.wait(AudioOutputDelta)
        stages.tts.gate.clear()
        stages.llm.go.set()
        while "Second sentence." not in stages.tts.spoken and stages.llm.requests:
            await asyncio.sleep(0.005)
            if len(stages.tts.spoken) == 1:
                break
        await say(session, speech(320))
        await reader.wait(Interrupted)
        count = len(reader.of(AudioOutputDelta))
        stages.tts.gate.set()
        await say(session, silence(352))
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        late = [e for e in reader.of(AudioOutputDelta)[count:] if e.response_id == "response-1"]
        assert late == []


async def test_an_aborted_generation_ends_in_the_stage(scripted: Make) -> None:
    stages = scripted(llm=("One two three. | four five six",))
    async with open_session(stages) as (session, reader):
        await session.send(TextBlock("Go."))
        await session.commit()
        await reader.wait(AudioOutputDelta)
        await session.interrupt()
        while not stages.llm.aborted.is_set():
            await asyncio.sleep(0.005)
        assert not stages.llm.go.is_set()


async def test_interrupt_by_the_application(scripted: Make) -> None:
    stages = scripted(llm=("One two three four five six seven eight.", "Fine."))
    async with open_session(stages) as (session, reader):
        await session.interrupt()
        await session.send(TextBlock("Go."))
        await session.commit()
        await reader.wait(AudioOutputDelta)
        await asyncio.gather(session.interrupt(), session.interrupt())
        await reader.wait(TurnComplete, lambda e: e.stop_reason is StopReason.interrupted)
        assert len(reader.of(Interrupted)) == 1
        assert not reader.of(SpeechStarted)
        await session.send(TextBlock("Next."))
        await session.commit()
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")


async def test_audio_that_waits_for_a_slow_reader_is_dropped_by_a_cut(scripted: Make) -> None:
    stages = scripted(llm=("One two three four five six.",))
    session = await stages.transport().connect(system="", tools=[])
    await session.send(TextBlock("Go."))
    await session.commit()
    async with asyncio.timeout(5):
        while not stages.tts.spoken:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    await session.interrupt()
    reader = Reader(session)
    done = await reader.wait(TurnComplete)
    assert done.stop_reason is StopReason.interrupted
    assert reader.said()
    assert reader.of(AudioOutputDelta) == []
    await session.close()
    await reader.task


async def test_truncate_corrects_the_memory(scripted: Make) -> None:
    stages = scripted(llm=("One two three four.", "Fine."))
    async with open_session(stages) as (session, reader):
        await session.send(TextBlock("Go."))
        await session.commit()
        await reader.wait(TurnComplete)
        await session.truncate(item_id="reply-1", heard_ms=250)
        await session.truncate(item_id="no such", heard_ms=0)
        await session.send(TextBlock("Next."))
        await session.commit()
        await reader.wait(TurnComplete)
        assert stages.llm.prompt() == [("user", "Go."), ("assistant", "One two"), ("user", "Next.")]


@pytest.mark.parametrize("how", ["barge_in", "turn_detection"])
async def test_without_interruption_the_reply_is_finished_first(scripted: Make, how: str) -> None:
    stages = scripted(asr=("One.", "Two."), llm=("First answer.", "Second answer."))
    options: dict[str, Any] = {"turn_detection": TurnDetection(interrupt=False)} if how == "turn_detection" else {}
    transport = {"barge_in": BargeIn(enabled=False)} if how == "barge_in" else {}
    async with open_session(stages, transport=transport, **options) as (session, reader):
        await say(session)
        await reader.wait(AudioOutputDelta)
        await say(session)
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        assert not reader.of(Interrupted)
        assert reader.said() == "First answer.Second answer."
        assert stages.llm.prompt()[1] == ("assistant", "First answer.")


async def test_typed_text_during_playback_is_answered_after_it(scripted: Make) -> None:
    stages = scripted(llm=("One two three four.", "Fine."))
    async with open_session(stages) as (session, reader):
        await session.send(TextBlock("Go."))
        await session.commit()
        await reader.wait(TranscriptDelta, lambda e: e.role == "assistant" and e.final)
        await session.send(TextBlock("Next."))
        await session.commit()
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        assert [e.stop_reason for e in reader.of(TurnComplete)] == [StopReason.end_turn] * 2
        assert stages.llm.prompt()[1] == ("assistant", "One two three four.")


async def test_typed_text_while_a_reply_is_written_cuts_it(scripted: Make) -> None:
    stages = scripted(llm=("One two three. | never", "Fine."))
    async with open_session(stages) as (session, reader):
        await session.send(TextBlock("Go."))
        await session.commit()
        await reader.wait(AudioOutputDelta)
        await session.send(TextBlock("Next."))
        await session.commit()
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        assert [e.response_id for e in reader.of(Interrupted)] == ["response-1"]
        assert [e.stop_reason for e in reader.of(TurnComplete)] == [StopReason.interrupted, StopReason.end_turn]


async def test_within_the_grace_a_reply_that_is_over_can_be_cut(scripted: Make) -> None:
    """Its turn is complete already, so there is no second TurnComplete."""
    stages = scripted(asr=("Wait.",), llm=("One two.", "Fine."))
    async with open_session(stages, transport={"barge_in": BargeIn(grace_ms=5000)}) as (session, reader):
        await session.send(TextBlock("Go."))
        await session.commit()
        await reader.wait(TurnComplete)
        await say(session)
        await reader.wait(Interrupted)
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        assert [e.response_id for e in reader.of(TurnComplete)] == ["response-1", "response-2"]


async def test_speaking_on_before_the_reply_sounds_joins_the_turns(scripted: Make) -> None:
    stages = scripted(asr=("I think", "it is late."), llm=("| Yes.", "Indeed."))
    async with open_session(stages) as (session, reader):
        await say(session)
        await reader.wait(TranscriptDelta, lambda e: e.role == "user")
        while not stages.llm.requests:
            await asyncio.sleep(0.005)
        await say(session)
        await reader.wait(TurnComplete, lambda e: e.stop_reason is StopReason.end_turn)
        assert [e.response_id for e in reader.of(Interrupted)] == ["response-1"]
        assert stages.llm.prompt() == [("user", "I think it is late.")]


async def test_a_cough_before_the_reply_sounds_only_delays_it(scripted: Make) -> None:
    stages = scripted(asr=("What is it?", ""), llm=("| Lost.", "It is a test."))
    async with open_session(stages) as (session, reader):
        await say(session)
        while not stages.llm.requests:
            await asyncio.sleep(0.005)
        await say(session)
        await reader.wait(TurnComplete, lambda e: e.stop_reason is StopReason.end_turn)
        assert reader.said() == "It is a test."


async def test_manual_mode_takes_the_audio_between_commits(scripted: Make) -> None:
    stages = scripted(asr=("One.", "Two."))
    async with open_session(stages, turn_detection=TurnDetection(mode="manual")) as (session, reader):
        await session.commit()
        await say(session, speech(320) + silence(2000) + speech(320) + b"\1\2" * 5)
        await session.commit()
        await reader.wait(TurnComplete)
        await say(session, speech(96))
        await session.clear()
        await say(session, speech(64))
        await session.commit()
        await reader.wait(TranscriptDelta, lambda e: e.delta == "Two.")
        assert not reader.of(SpeechStarted)
        assert [len(pcm) // 32 for pcm in stages.asr.heard] == [320 + 2016 + 320 + 32, 64]


async def test_a_manual_turn_that_is_too_long_loses_its_beginning_and_says_so(
    scripted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duologue_local.listener.MAX_MANUAL", 10)
    stages = scripted(asr=("One.", "Two."))
    async with open_session(stages, turn_detection=TurnDetection(mode="manual")) as (session, reader):
        await say(session, silence(320) + speech(320))
        await session.commit()
        problem = await reader.wait(Problem)
        assert "first 0.3 s were dropped" in str(problem.exception)
        await reader.wait(TurnComplete)
        assert stages.asr.heard == [speech(320)]
        await say(session, speech(320))
        await session.commit()
        await reader.wait(TurnComplete)
        assert len(reader.of(Problem)) == 1


async def test_commit_ends_a_spoken_turn_early(scripted: Make) -> None:
    stages = scripted(asr=("Now.",))
    async with open_session(stages) as (session, reader):
        await say(session, speech(320))
        await reader.wait(SpeechStarted)
        await session.commit()
        await reader.wait(TurnComplete)
        assert reader.said("user") == "Now."


async def test_without_create_response_it_only_writes_down(scripted: Make) -> None:
    stages = scripted(asr=("One.",), llm=("Answer.",))
    async with open_session(stages, turn_detection=TurnDetection(create_response=False)) as (session, reader):
        await say(session)
        await reader.wait(TranscriptDelta, lambda e: e.final)
        assert not stages.llm.requests
        await session.commit()
        await reader.wait(TurnComplete)
        assert stages.llm.prompt() == [("user", "One.")]


def a_tool(name: str) -> Tool:
    return Tool(name, None, "Does something.", {"type": "object", "properties": {"x": {"type": "integer"}}})


async def test_calls_are_answered_and_spoken_about(scripted: Make) -> None:
    calls = [ToolCall("first", {"x": 1}), ToolCall("second", {})]
    stages = scripted(asr=("Go.",), llm=(calls, "Both are done."))
    async with open_session(stages, tools=[a_tool("first"), a_tool("second")]) as (session, reader):
        await say(session)
        done = await reader.wait(TurnComplete)
        assert (done.stop_reason, done.response_id) == (StopReason.tool_use, "response-1")
        assert [t.name for t in stages.llm.requests[0].tools] == ["first", "second"]
        starts = reader.of(ToolUseStart)
        assert [(s.index, s.name) for s in starts] == [(0, "first"), (1, "second")]
        assert len({s.tool_use_id for s in starts}) == len(reader.of(ToolUseEnd)) == 2
        assert [d.partial_json for d in reader.of(ToolInputDelta)] == ['{"x": 1}', "{}"]
        await session.send_tool_result(starts[1].tool_use_id, "second", [TextBlock("two"), ImageBlock(b"")])
        await session.send_tool_result("unknown", "second", "?")
        await session.send_tool_result(starts[1].tool_use_id, "second", "again")
        await asyncio.sleep(0.02)
        assert len(stages.llm.requests) == 1
        assert len(reader.of(Problem)) == 2
        await session.send_tool_result(starts[0].tool_use_id, "first", "one")
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        assert stages.llm.prompt() == [("user", "Go."), ("tool", "two"), ("tool", "one")]
        assert reader.said() == "Both are done."


async def test_a_session_lives_on_whatever_becomes_of_a_call(scripted: Make) -> None:
    """A new turn is answered while the call is open; the late result is known to the turn after."""
    stages = scripted(asr=("Go.", "Never mind."), llm=(ToolCall("slow", {}), "Fine.", "It came.", "Yes."))
    async with open_session(stages, tools=[a_tool("slow")]) as (session, reader):
        await say(session)
        call = await reader.wait(ToolUseStart)
        await say(session)
        await reader.wait(TurnComplete, lambda e: e.response_id == "response-2")
        assert stages.llm.prompt()[-1] == ("user", "Go. Never mind.")
        await session.send_tool_result(call.tool_use_id, "slow", "late")
        await session.send(TextBlock("And?"))
        await session.commit()
        await reader.wait(TurnComplete, lambda e: e.stop_reason is StopReason.end_turn)
        assert ("tool", "late") in stages.llm.prompt()


async def test_after_an_interruption_results_start_no_reply(scripted: Make) -> None:
    stages = scripted(llm=(ToolCall("slow", {}),))
    async with open_session(stages, tools=[a_tool("slow")]) as (session, reader):
        await session.send(TextBlock("Go."))
        await session.commit()
        call = await reader.wait(ToolUseStart)
        await reader.wait(TurnComplete)
        await session.interrupt()
        await session.send_tool_result(call.tool_use_id, "slow", "cancelled")
        await asyncio.sleep(0.05)
        assert len(stages.llm.requests) == 1


@pytest.mark.parametrize("trouble", ["asr", "llm", "tts"])
async def test_a_stage_that_fails_costs_one_turn(scripted: Make, trouble: str) -> None:
    asr = ("!", "Again.") if trouble == "asr" else ("One.", "Again.")
    llm = {"asr": ("Good.",), "llm": ("!", "Good."), "tts": ("I stumble.", "Good.")}[trouble]
    stages = scripted(asr=asr, llm=llm)
    async with open_session(stages) as (session, reader):
        await say(session)
        problem = await reader.wait(Problem)
        assert "stumbled" in str(problem.exception)
        if trouble != "asr":
            assert (await reader.wait(TurnComplete)).stop_reason is StopReason.error
        await say(session)
        await reader.wait(TurnComplete, lambda e: e.stop_reason is StopReason.end_turn)
        assert reader.said().endswith("Good.")


async def test_history_is_told_to_the_model(scripted: Make) -> None:
    stages = scripted()
    history = [Message("user", "I am Ada."), Message("assistant", "Hello Ada.")]
    async with open_session(stages, history=history) as (session, reader):
        await session.send(TextBlock("Who am I?"))
        await session.commit()
        prompt = await reader.wait(ProviderEvent, lambda e: e.kind == "prompt")
        assert stages.llm.prompt()[:2] == [("user", "I am Ada."), ("assistant", "Hello Ada.")]
        assert prompt.data["prompt"] == "Be brief. / I am Ada. / Hello Ada. / Who am I?"


async def test_options_reach_the_model(scripted: Make) -> None:
    stages = scripted()
    options = {"temperature": 0.7, "max_tokens": 33, "seed": 5}
    async with open_session(stages, options=options) as (session, reader):
        await session.send(TextBlock("Go."))
        await session.commit()
        await reader.wait(TurnComplete)
        request = stages.llm.requests[0]
        assert (request.temperature, request.max_tokens, request.seed) == (0.7, 33, 5)


@pytest.mark.parametrize(
    "block",
    [
        AudioBlock(b"\0\0", "audio/pcm;rate=24000"),
        AudioBlock(b"\0", "audio/pcm;rate=16000"),
        AudioBlock(b"\0\0", "audio/pcmu"),
        ImageBlock(b"\0"),
    ],
)
async def test_what_it_does_not_take_is_refused(scripted: Make, block: AudioBlock | ImageBlock) -> None:
    async with open_session(scripted()) as (session, _):
        with pytest.raises(UnsupportedFormat):
            await session.send(block)


async def test_bare_audio_has_the_agreed_rate(scripted: Make) -> None:
    async with open_session(scripted(), input_audio_format="audio/pcm;rate=48000") as (session, _):
        with pytest.raises(UnsupportedFormat, match="48000"):
            await session.send(AudioBlock(b"\0\0"))
    async with open_session(scripted()) as (session, _):
        await session.send(AudioBlock(b"\0\0"))


async def test_a_closed_session_says_so(scripted: Make) -> None:
    async with open_session(scripted()) as (session, reader):
        await session.close()
        await session.close()
        for use in (session.send(TextBlock("?")), session.commit(), session.send_tool_result("a", "b", "c")):
            with pytest.raises(SessionClosed):
                await use
        await reader.task
        assert reader.error is None


async def test_closing_in_the_middle_of_everything_is_quick(scripted: Make) -> None:
    stages = scripted(asr=("One.",), llm=("Some words. | more words",))
    async with asyncio.timeout(2), open_session(stages) as (session, reader):
        await say(session)
        await reader.wait(AudioOutputDelta)
        await say(session, speech(320))


async def test_voices(scripted: Make) -> None:
    async with open_session(scripted(), voice="other"):
        pass
    with pytest.raises(ConfigurationError, match=r"'nobody'.*tone, other"):
        await scripted().transport().connect(system="", tools=[], voice="nobody")
