"""Sessions end to end: our transport and our server half over TLS, on virtual time."""

import asyncio
import json

import pytest
from duologue import AudioBlock, ConfigurationError, ImageBlock, Message, TextBlock, Tool, TurnDetection
from duologue.errors import ConnectFailed, RateLimited, ResumeFailed
from duologue.events import (
    AudioOutputDelta,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    Reconnected,
    SessionStarted,
    SpeechStarted,
    ToolCancelled,
    ToolInputDelta,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import Refusal, StandIn, virtual_time
from duologue.types import StopReason, Usage
from duologue.wire import AnswerCall, CommitTurn, SendContent, StopReply, UpdateSession
from google_kit import MODEL_25, MODEL_31, MODEL_38, developer, serve, talk, vertex

MANUAL = {"turn_detection": TurnDetection(mode="manual")}
MIC = AudioBlock(b"\1\0" * 320, "audio/pcm;rate=16000")
PIECE = AudioOutputDelta(b"\1\0" * 480)
DONE = TurnComplete(StopReason.end_turn)


def call(call_id, name="look", arguments="{}", index=0):
    return (
        ToolUseStart(index, call_id, name),
        ToolInputDelta(index, call_id, arguments),
        ToolUseEnd(index, call_id),
    )


def gated_tool(**policy):
    """A tool that returns when its gate is opened."""
    gate = asyncio.Event()

    async def look(city: str = "") -> str:
        """Look at a city."""
        await gate.wait()
        return f"fog in {city}"

    return Tool("look", look, **policy), gate


@virtual_time
async def test_setup_carries_what_the_session_was_asked_for():
    tool, _ = gated_tool()
    history = (Message("user", "I am Ann."), Message("assistant", "Hello Ann."))
    async with talk(
        StandIn(),
        tools=[tool],
        model=MODEL_31,
        language_code="de-DE",
        temperature=0.4,
        agent={"voice": "aoede", "history": history, **MANUAL},
    ) as made:
        await made.agent.send(TextBlock("Who am I?"))
        await made.until(TurnComplete)
        setup = made.server.peer.setup
    assert (setup.model, setup.system, setup.voice) == (f"models/{MODEL_31}", "Be brief.", "Aoede")
    assert [tool.name for tool in setup.tools] == ["look"]
    assert setup.tools[0].input_schema["properties"]["city"]["type"] == "string"
    assert setup.turn_detection.mode == "manual"
    assert [(m.role, m.text) for m in setup.history] == [("user", "I am Ann."), ("assistant", "Hello Ann.")]
    generation = setup.extra["generationConfig"]
    assert generation["temperature"] == 0.4
    assert generation["speechConfig"]["languageCode"] == "de-DE"
    assert setup.extra["contextWindowCompression"] == {"slidingWindow": {}}


@virtual_time
@pytest.mark.parametrize("reach", [developer, vertex])
async def test_text_gets_speech_its_transcript_and_the_usage(reach):
    async def brain(peer):
        assert await peer.expect(SendContent) == SendContent(TextBlock("Hello"))
        await peer.expect(CommitTurn)
        await peer.send(
            TranscriptDelta("assistant", "Good "),
            PIECE,
            TranscriptDelta("assistant", "day."),
            PIECE,
            TranscriptDelta("assistant", "", final=True),
            TurnComplete(StopReason.end_turn, Usage(7, 11)),
        )

    async with talk(brain, reach=reach) as made:
        await made.agent.send(TextBlock("Hello"))
        end = await made.until(TurnComplete)
        history = made.agent.history
    assert (end.usage.input_tokens, end.usage.output_tokens) == (7, 11)
    assert [event.data for event in made.of(AudioOutputDelta)] == [PIECE.data, PIECE.data]
    assert [(m.role, m.text) for m in history] == [("user", "Hello"), ("assistant", "Good day.")]


@virtual_time
async def test_speech_and_images_go_in_and_the_users_words_come_back():
    async def brain(peer):
        heard = [await peer.expect(SendContent) for _ in range(3)]
        assert [type(command.block) for command in heard] == [ImageBlock, AudioBlock, AudioBlock]
        await peer.send(TranscriptDelta("user", "What is "), TranscriptDelta("user", "this?", final=True), PIECE, DONE)

    async with talk(brain) as made:
        await made.agent.send([ImageBlock(b"\xff\xd8\xff"), MIC, MIC])
        await made.until(TurnComplete)
    said = [event for event in made.of(TranscriptDelta) if event.role == "user"]
    assert "".join(event.delta for event in said) == "What is this?"
    assert said[-1].final


@virtual_time
async def test_the_user_interrupts_with_automatic_detection():
    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(PIECE)
        await peer.expect(SendContent, lambda command: isinstance(command.block, AudioBlock))
        await peer.send(SpeechStarted(), Interrupted(), TurnComplete(StopReason.interrupted), PIECE, DONE)

    async with talk(brain) as made:
        await made.agent.send(TextBlock("a story"))
        await made.until(AudioOutputDelta)
        await made.agent.send(MIC)
        await made.until(SpeechStarted)
        await made.agent.interrupt(heard_ms=10)
        await made.until(TurnComplete, count=2)
        names = [name for name in made.names if name != "ProviderEvent"]
        with pytest.raises(AssertionError):
            await made.server.peer.expect(StopReply, within=0.1)  # the server was first: nothing is to be stopped
    assert names == ["SessionStarted", "SpeechStarted", "Interrupted", "TurnComplete", "TurnComplete"]


@virtual_time
@pytest.mark.parametrize("model", [MODEL_38, MODEL_25])
async def test_the_application_stops_a_reply_with_automatic_detection(model):
    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(PIECE)
        await peer.expect(StopReply)
        await peer.send(PIECE, Interrupted(), TurnComplete(StopReason.interrupted))
        await peer.expect(CommitTurn)
        await peer.send(PIECE, DONE)

    async with talk(brain, model=model) as made:
        await made.agent.send(TextBlock("a story"))
        await made.until(AudioOutputDelta)
        await made.agent.interrupt()
        end = await made.until(TurnComplete)
        await made.agent.send(TextBlock("go on"))
        await made.until(TurnComplete, count=2)
    assert end.stop_reason is StopReason.interrupted
    assert len(made.of(Interrupted)) == 1
    assert made.of(SpeechStarted) == []
    assert len(made.of(AudioOutputDelta)) == 2


@virtual_time
@pytest.mark.parametrize("model", [MODEL_38, MODEL_31])
async def test_the_application_stops_a_reply_in_manual_mode(model):
    async with talk(StandIn(pace=0.05), model=model, agent=MANUAL) as made:
        await made.agent.send(MIC)
        await made.agent.send(TextBlock("story 100"), respond=False)
        await made.agent.commit()
        await made.until(AudioOutputDelta)
        await made.agent.interrupt()
        end = await made.until(TurnComplete)
        await made.agent.send(MIC)
        await made.agent.commit()
        await made.until(TurnComplete, count=2)
    assert end.stop_reason is StopReason.interrupted
    assert len(made.of(Interrupted)) == 1


@virtual_time
async def test_a_model_that_cannot_be_stopped_is_not_heard_on():
    async with talk(StandIn(pace=0.1), model=MODEL_31) as made:
        await made.agent.send(TextBlock("story 100"))
        await made.until(AudioOutputDelta)
        await made.agent.interrupt()
        heard = len(made.of(AudioOutputDelta))
        await made.until(TurnComplete)  # ten seconds later: longer than any fence above
        assert len(made.of(AudioOutputDelta)) == heard
        await made.agent.send(TextBlock("hello"))
        await made.until(TurnComplete, count=2)
    assert len(made.of(AudioOutputDelta)) == heard + 2


@virtual_time
async def test_calls_that_do_not_block_are_answered_while_the_model_speaks():
    tool, gate = gated_tool(delivery="when_idle")
    raw = []

    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(
            *call("fc-1", arguments='{"city": "Oslo"}'), *call("fc-2", arguments='{"city": "Rome"}', index=1)
        )
        await peer.send(PIECE)
        raw.extend([await peer.expect(AnswerCall), await peer.expect(AnswerCall)])
        await peer.send(PIECE, DONE)

    async with talk(brain, tools=[tool]) as made:
        await made.agent.send(TextBlock("weather"))
        await made.until(AudioOutputDelta)
        assert len(made.of(ToolStarted)) == 2
        gate.set()
        await made.until(TurnComplete)
    assert {answer.content for answer in raw} == {"fog in Oslo", "fog in Rome"}
    assert len(made.of(ToolResult)) == 2


@virtual_time
async def test_the_microphone_is_gated_while_a_blocking_call_is_open():
    tool, gate = gated_tool()

    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(*call("fc-1", arguments='{"city": "Oslo"}'))
        answer = await peer.expect(AnswerCall)
        assert answer == AnswerCall("fc-1", "look", "fog in Oslo")
        heard = [c for c in peer.commands if isinstance(c, SendContent) and isinstance(c.block, AudioBlock)]
        assert not heard, "input came while the call was open"
        await peer.send(PIECE, DONE)
        await peer.expect(SendContent, lambda command: isinstance(command.block, AudioBlock))
        await peer.send(PIECE, DONE)

    async with talk(brain, tools=[tool], model=MODEL_31) as made:
        await made.agent.send(TextBlock("weather"))
        await made.until(ToolStarted)
        await made.agent.send([MIC, MIC])
        gate.set()
        await made.until(TurnComplete)
        await made.agent.send(MIC)
        await made.until(TurnComplete, count=2)


@virtual_time
async def test_a_call_that_the_server_withdraws_is_stopped_and_not_answered():
    tool, _ = gated_tool()

    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(*call("fc-1"))
        await peer.send(ToolCancelled("fc-1", "look", "no longer"), PIECE, DONE)
        await peer.expect(CommitTurn)
        assert not any(isinstance(command, AnswerCall) for command in peer.commands)
        await peer.send(PIECE, DONE)

    async with talk(brain, tools=[tool]) as made:
        await made.agent.send(TextBlock("weather"))
        await made.until(ToolCancelled)
        await made.until(TurnComplete)
        await made.agent.send(TextBlock("thanks"))
        await made.until(TurnComplete, count=2)
    assert made.of(ToolResult) == []


@virtual_time
async def test_a_session_is_changed_while_it_runs():
    async def brain(peer):
        update = await peer.expect(UpdateSession)
        assert update.system == "Be verbose."
        await peer.send(PIECE, DONE)

    async with talk(brain) as made:
        await made.agent.session.update(system="Be verbose.")
        await made.until(TurnComplete)


@virtual_time
async def test_garbage_costs_its_frame():
    async def brain(peer):
        await peer.frame("{")
        await peer.frame(b"\xff\xfe")
        await peer.frame("[]")
        await peer.frame(json.dumps({"somethingNew": {"a_b": 1}}))
        await peer.frame(
            json.dumps(
                {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "?"}}]}}}
            )
        )
        await peer.send(PIECE, DONE)

    async with talk(brain) as made:
        await made.until(TurnComplete)
    assert len(made.of(Problem)) == 4
    assert ProviderEvent("gemini", "somethingNew", {"a_b": 1}) in made.seen
    assert len(made.of(AudioOutputDelta)) == 1


class TestResumption:
    @virtual_time
    @pytest.mark.parametrize("reach", [developer, vertex])
    async def test_a_lost_session_is_taken_up_again_by_its_handle(self, reach):
        async with talk(StandIn(), reach=reach) as made:
            await made.agent.send(TextBlock("one"))
            await made.until(TurnComplete)
            await asyncio.sleep(2)
            made.server.peer.abort()
            assert (await made.until(Reconnected)).resumed
            await made.agent.send(TextBlock("two"))
            await made.until(TurnComplete, count=2)
            assert made.server.peer.setup.resume
            assert made.server.peer.setup.history == ()

    @virtual_time
    async def test_a_session_that_is_going_away_is_left_between_turns(self):
        async with talk(StandIn(life=30.0, notice=20.0)) as made:
            await made.agent.send(TextBlock("one"))
            await made.until(TurnComplete)
            await made.until(GoingAway)
            assert (await made.until(Reconnected)).resumed
            await made.agent.send(TextBlock("two"))
            await made.until(TurnComplete, count=2)
        assert len(made.of(GoingAway)) == 1

    @virtual_time
    @pytest.mark.parametrize(
        ("code", "reason"), [(1011, "Deadline expired"), (1000, "The operation was cancelled."), (1008, "policy")]
    )
    async def test_a_close_of_googles_is_no_end(self, code, reason):
        async with talk(StandIn()) as made:
            await made.agent.send(TextBlock("one"))
            await made.until(TurnComplete)
            await asyncio.sleep(2)
            await made.server.peer.close(code, reason)
            assert (await made.until(Reconnected)).resumed

    @virtual_time
    async def test_a_close_without_a_reason_is_the_end(self):
        async with talk(StandIn()) as made:
            await made.server.peer.close(1000)
            assert await made.end() is None

    @virtual_time
    async def test_a_handle_that_is_refused_is_given_up_and_the_history_told(self):
        model = StandIn()

        async def brain(peer):
            if peer.setup.resume:
                await peer.close(1008, "BidiGenerateContent session not found")
            else:
                await peer.send(SessionStarted())
                await model(peer)

        async with talk(brain, server={"accept": False}) as made:
            await made.agent.send(TextBlock("my name is Ada"))
            await made.until(TurnComplete)
            await asyncio.sleep(2)
            made.server.peer.abort()
            assert not (await made.until(Reconnected)).resumed
            await made.agent.send(TextBlock("two"))
            await made.until(TurnComplete, count=2)
        assert any("Ada" in text for _, text in model.memory.said)

    @virtual_time
    @pytest.mark.parametrize("model", [MODEL_38, MODEL_31])
    async def test_a_reply_that_broke_off_does_not_silence_the_session(self, model):
        stand_in = StandIn(pace=0.05)
        async with talk(stand_in, model=model) as made:
            await made.agent.send(TextBlock("one"))
            await made.until(TurnComplete)
            await made.agent.send(TextBlock("story 40"))
            await made.until(TranscriptDelta, where=lambda e: "word9" in e.delta)
            made.server.peer.abort()
            await made.until(Reconnected)
            await made.agent.send(TextBlock("go on"))
            await made.until(TurnComplete, count=3)
        said = [text for _, text in stand_in.memory.said]
        assert any("story 40" in text for text in said)
        assert any("word9" in text for text in said)

    @virtual_time
    @pytest.mark.parametrize("model", [MODEL_38, MODEL_31])
    async def test_the_result_of_a_call_whose_connection_broke_is_told_in_words(self, model):
        tool, gate = gated_tool()
        stand_in = StandIn()
        async with talk(stand_in, tools=[tool], model=model) as made:
            await made.agent.send(TextBlock('call look {"city": "Oslo"}'))
            await made.until(ToolStarted)
            made.server.peer.abort()
            await made.until(Reconnected)
            gate.set()
            await made.until(ToolResult)
            await made.until(TurnComplete, where=lambda e: e.stop_reason is StopReason.end_turn)
        assert stand_in.answers == []
        told = [text for _, text in stand_in.memory.said if "fog in Oslo" in text]
        assert told, stand_in.memory.said


class TestRefusals:
    @virtual_time
    @pytest.mark.parametrize(
        ("code", "reason", "kind", "advice"),
        [
            (1007, "Thinking level is not supported for this model.", ConfigurationError, "`thinking`"),
            (1007, "Function response scheduling is not supported for this model", ConfigurationError, "scheduling"),
            (1007, "Request contains an invalid argument.", ConfigurationError, "compress_context"),
            (1008, "models/x is not found for API version v1beta", ConfigurationError, "list_models"),
            (1008, "Publisher Model `projects/p/locations/l` was not found", ConfigurationError, "location"),
            (1007, "API key not valid. Please pass a valid API key.", ConfigurationError, "GEMINI_API_KEY"),
            (1008, "requested voice name is not available", ConfigurationError, "Aoede"),
            (1011, "You exceeded your current quota", RateLimited, "quota"),
            (1008, "BidiGenerateContent session not found", ResumeFailed, "taken up again"),
            (1011, "internal", ConnectFailed, "internal"),
        ],
    )
    async def test_a_refused_setup_says_what_to_change(self, code, reason, kind, advice):
        async def brain(peer):
            await peer.close(code, reason)

        async with serve(brain, accept=False) as server:
            with pytest.raises(kind, match="(?s)" + advice) as caught:
                await developer(server).connect(system="", tools=[])
        assert reason in str(caught.value)
        assert caught.value.provider == "gemini"

    @virtual_time
    @pytest.mark.parametrize("status", [401, 403, 404, 500])
    async def test_a_refusal_at_the_door_is_told_without_the_key(self, status):
        async with serve(StandIn(), refuse=Refusal(status, "no entry for key-of-a-test")) as server:
            with pytest.raises(ConnectFailed, match=str(status)) as caught:
                await developer(server).connect(system="", tools=[])
        assert "key-of-a-test" not in str(caught.value)

    @virtual_time
    async def test_a_server_that_never_accepts_is_given_up(self):
        async def brain(peer):
            await asyncio.Event().wait()

        async with serve(brain, accept=False) as server:
            with pytest.raises(ConnectFailed, match="within"):
                await developer(server).connect(system="", tools=[])
