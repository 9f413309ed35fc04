"""The official google-genai client, unmodified, talks to our server codec: Developer API and Vertex AI."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from duologue import AudioBlock, TextBlock
from duologue.events import (
    AudioOutputDelta,
    Error,
    GoingAway,
    Interrupted,
    SessionStarted,
    SpeechStarted,
    ToolCancelled,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import WireServer
from duologue.types import StopReason, Usage
from duologue.wire import AnswerCall, CommitTurn, SendContent, StopReply, UpdateSession
from duologue_google import GeminiServerCodec

pytestmark = pytest.mark.clients
MODES = ("developer", "vertex")
PIECE = bytes(range(200)) * 4


def client(server, mode, version=None):
    from google import genai
    from google.genai import types
    from google.oauth2.credentials import Credentials

    options = types.HttpOptions(
        base_url=server.url.replace("wss://", "https://"),
        api_version=version,
        async_client_args={"ssl": server.ssl, "ping_interval": None, "proxy": None},
    )
    if mode == "vertex":
        return genai.Client(
            vertexai=True,
            project="a-project",
            location="us-central1",
            credentials=Credentials("token-of-a-test"),
            http_options=options,
        )
    return genai.Client(api_key="key-of-a-test", http_options=options)


@asynccontextmanager
async def session(brain, mode, config=None, *, model="gemini-3.8-live", binary=True, version=None, **options):
    """The client's session with a server that runs this brain; ends in bounded time."""

    def codec():
        return GeminiServerCodec(binary=binary, vertex=mode == "vertex")

    async with asyncio.timeout(20), WireServer(codec, brain, tls=True, **options) as server:
        config = {"response_modalities": ["AUDIO"], **(config or {})}
        async with client(server, mode, version).aio.live.connect(model=model, config=config) as live:
            yield live, server


async def turn(live):
    """The messages up to the end of a turn."""
    return [message async for message in live.receive()]


def sound(messages):
    return b"".join(message.data or b"" for message in messages)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("binary", [True, False])
async def test_text_is_answered_with_speech_and_its_transcript(mode, binary):
    async def brain(peer):
        said = await peer.expect(SendContent)
        await peer.expect(CommitTurn)
        assert said == SendContent(TextBlock("Hello there"))
        await peer.send(
            AudioOutputDelta(PIECE),
            TranscriptDelta("assistant", "Good "),
            AudioOutputDelta(PIECE[::-1]),
            TranscriptDelta("assistant", "day.", final=True),
            TurnComplete(StopReason.end_turn, Usage(5, 9)),
        )

    config = {"output_audio_transcription": {}}
    async with session(brain, mode, config, binary=binary) as (live, server):
        await live.send_client_content(turns={"role": "user", "parts": [{"text": "Hello there"}]}, turn_complete=True)
        messages = await turn(live)
        assert live.session_id == "session-1"
        setup = server.peer.setup
    assert sound(messages) == PIECE + PIECE[::-1]
    said = [m.server_content.output_transcription for m in messages if m.server_content]
    assert "".join(t.text or "" for t in said if t) == "Good day."
    assert [t.finished for t in said if t][-1] is True
    assert any(m.server_content and m.server_content.generation_complete for m in messages)
    last = messages[-1]
    assert last.server_content.turn_complete
    assert (last.usage_metadata.prompt_token_count, last.usage_metadata.response_token_count) == (5, 9)
    assert setup.model.endswith("models/gemini-3.8-live")


@pytest.mark.parametrize("mode", MODES)
async def test_sound_images_and_marks_arrive_as_they_were_sent(mode):
    heard = []

    async def brain(peer):
        while True:
            heard.append(await peer.next())
            if isinstance(heard[-1], CommitTurn):
                await peer.send(AudioOutputDelta(PIECE), TurnComplete(StopReason.end_turn))

    config = {"realtime_input_config": {"automatic_activity_detection": {"disabled": True}}}
    async with session(brain, mode, config) as (live, server):
        await live.send_realtime_input(activity_start={})
        await live.send_realtime_input(audio={"data": b"\xff\xd8\xfb\xef" * 80, "mime_type": "audio/pcm;rate=16000"})
        await live.send_realtime_input(video={"data": b"\xff\xd8\xff", "mime_type": "image/jpeg"})
        await live.send_realtime_input(activity_end={})
        assert sound(await turn(live)) == PIECE
        assert server.peer.setup.turn_detection.mode == "manual"
    blocks = [command.block for command in heard if isinstance(command, SendContent)]
    assert blocks[0] == AudioBlock(b"\xff\xd8\xfb\xef" * 80, "audio/pcm;rate=16000")
    assert (blocks[1].data, blocks[1].media_type) == (b"\xff\xd8\xff", "image/jpeg")
    assert isinstance(heard[-1], CommitTurn)


async def test_a_pause_of_the_microphone_ends_the_turn():
    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE), TurnComplete(StopReason.end_turn))

    async with session(brain, "developer") as (live, _):
        await live.send_realtime_input(audio={"data": b"\0\1" * 160, "mime_type": "audio/pcm;rate=16000"})
        await live.send_realtime_input(audio_stream_end=True)
        assert sound(await turn(live)) == PIECE


async def test_realtime_text_asks_for_a_reply():
    async def brain(peer):
        assert await peer.expect(SendContent) == SendContent(TextBlock("hi"))
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE), TurnComplete(StopReason.end_turn))

    async with session(brain, "developer") as (live, _):
        await live.send_realtime_input(text="hi")
        assert sound(await turn(live)) == PIECE


@pytest.mark.parametrize("mode", MODES)
async def test_parallel_calls_are_answered_and_one_is_withdrawn(mode):
    answers = []

    async def brain(peer):
        await peer.expect(CommitTurn)
        for index, (call_id, city) in enumerate((("fc-1", "Rome"), ("fc-2", "Oslo"))):
            await peer.send(
                ToolUseStart(index, call_id, "get_weather"),
                ToolInputDelta(index, call_id, '{"city": '),
                ToolInputDelta(index, call_id, json.dumps(city) + "}"),
                ToolUseEnd(index, call_id),
            )
        await peer.send(TurnComplete(StopReason.tool_use), ToolCancelled("fc-2", "get_weather", "no longer"))
        answers.append(await peer.expect(AnswerCall))
        await peer.send(AudioOutputDelta(PIECE), TurnComplete(StopReason.end_turn))

    declared = {
        "name": "get_weather",
        "description": "Tell the weather",
        "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
        "behavior": "NON_BLOCKING",
    }
    tools = [{"google_search": {}}, {"function_declarations": [declared]}]
    async with session(brain, mode, {"tools": tools}) as (live, server):
        await live.send_client_content(turns={"role": "user", "parts": [{"text": "weather?"}]})
        calls = []
        async for message in live.receive():
            if message.tool_call:
                calls += message.tool_call.function_calls
            if message.tool_call_cancellation:
                assert message.tool_call_cancellation.ids == ["fc-2"]
                result = {
                    "id": "fc-1",
                    "name": "get_weather",
                    "response": {"output": "rain"},
                    "scheduling": "WHEN_IDLE",
                }
                await live.send_tool_response(function_responses=result)
        (tool,) = server.peer.setup.tools
    assert [(call.id, call.name, call.args) for call in calls] == [
        ("fc-1", "get_weather", {"city": "Rome"}),
        ("fc-2", "get_weather", {"city": "Oslo"}),
    ]
    assert answers == [AnswerCall("fc-1", "get_weather", "rain")]
    assert tool.input_schema == {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert tool.blocking is False
    assert server.peer.setup.extra["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize("mode", MODES)
async def test_an_interruption_ends_the_turn_without_generation_complete(mode):
    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE), SpeechStarted(), Interrupted(), TurnComplete(StopReason.interrupted))

    async with session(brain, mode) as (live, _):
        await live.send_client_content(turns={"role": "user", "parts": [{"text": "a story"}]})
        messages = await turn(live)
    contents = [m.server_content for m in messages if m.server_content]
    assert sum(bool(c.interrupted) for c in contents) == 1
    assert not any(c.generation_complete for c in contents)
    assert contents[-1].turn_complete


async def test_content_cuts_the_reply_that_is_being_made():
    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE))
        await peer.expect(StopReply)
        await peer.send(TurnComplete(StopReason.interrupted))
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE[::-1]), TurnComplete(StopReason.end_turn))

    async with session(brain, "developer") as (live, _):
        await live.send_client_content(turns={"role": "user", "parts": [{"text": "a story"}]})
        receiving = live.receive()
        assert (await anext(receiving)).data == PIECE
        await live.send_client_content(turns={"role": "user", "parts": [{"text": "stop"}]})
        cut = [message async for message in receiving]
        assert cut[0].server_content.interrupted
        assert sound(await turn(live)) == PIECE[::-1]


@pytest.mark.parametrize("mode", MODES)
async def test_a_session_is_taken_up_again_by_its_handle(mode):
    seen = []

    async def brain(peer):
        seen.append(peer.setup.resume)
        await peer.offer("")
        await peer.offer("handle-1")
        await peer.send(GoingAway(50))
        await peer.expect(CommitTurn)

    config = {"session_resumption": {}}
    async with session(brain, mode, config) as (live, server):
        receiving = live.receive()
        updates = [await anext(receiving) for _ in range(3)]
        assert updates[0].session_resumption_update.resumable is False
        assert updates[1].session_resumption_update.new_handle == "handle-1"
        assert updates[2].go_away.time_left == "50s"
        again = {"response_modalities": ["AUDIO"], "session_resumption": {"handle": "handle-1"}}
        async with client(server, mode).aio.live.connect(model="gemini-3.8-live", config=again) as other:
            await anext(other.receive())
    assert seen == ["", "handle-1"]


async def test_a_refused_handle_closes_before_the_session_stands():
    from google.genai import errors

    async def brain(peer):
        await peer.close(1008, "BidiGenerateContent session not found")

    with pytest.raises(errors.APIError, match="1008"):
        async with session(brain, "developer", {"session_resumption": {"handle": "old"}}, accept=False):
            pass


async def test_the_whole_setup_is_understood():
    async def brain(peer):
        await peer.expect(CommitTurn)

    config = {
        "temperature": 0.5,
        "max_output_tokens": 100,
        "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}, "language_code": "de-DE"},
        "system_instruction": "You are brief.",
        "thinking_config": {"thinking_level": "LOW"},
        "context_window_compression": {"trigger_tokens": 25600, "sliding_window": {"target_tokens": 12800}},
        "realtime_input_config": {
            "automatic_activity_detection": {"prefix_padding_ms": 20, "silence_duration_ms": 100},
            "activity_handling": "NO_INTERRUPTION",
        },
        "proactivity": {"proactive_audio": True},
        "input_audio_transcription": {},
    }
    async with session(brain, "developer", config) as (_, server):
        setup = server.peer.setup
    assert (setup.system, setup.voice) == ("You are brief.", "Kore")
    assert (setup.turn_detection.prefix_ms, setup.turn_detection.silence_ms) == (20, 100)
    assert setup.turn_detection.interrupt is False
    extra = setup.extra
    assert extra["generationConfig"]["temperature"] == 0.5
    assert extra["generationConfig"]["speechConfig"]["languageCode"] == "de-DE"
    assert extra["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "LOW"}
    assert extra["contextWindowCompression"] == {"triggerTokens": 25600, "slidingWindow": {"targetTokens": 12800}}
    assert extra["proactivity"] == {"proactiveAudio": True}


async def test_a_history_is_taken_before_the_session_begins():
    async def brain(peer):
        await peer.expect(CommitTurn)
        await peer.send(AudioOutputDelta(PIECE), TurnComplete(StopReason.end_turn))

    config = {"history_config": {"initial_history_in_client_content": True}}
    turns = [{"role": "user", "parts": [{"text": "I am Ann."}]}, {"role": "model", "parts": [{"text": "Hello Ann."}]}]
    async with session(brain, "developer", config) as (live, server):
        await live.send_client_content(turns=turns, turn_complete=True)
        await live.send_realtime_input(text="Who am I?")
        assert sound(await turn(live)) == PIECE
        history = server.peer.setup.history
    assert [(message.role, message.text) for message in history] == [("user", "I am Ann."), ("assistant", "Hello Ann.")]


async def test_paths_keys_and_versions_are_as_google_has_them():
    async def brain(peer):
        await peer.expect(CommitTurn)

    async with session(brain, "developer", version="v1alpha") as (_, server):
        assert server.peer.path.endswith("google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent")
        assert {k.lower(): v for k, v in server.peer.headers.items()}["x-goog-api-key"] == "key-of-a-test"
    async with session(brain, "vertex") as (_, server):
        assert server.peer.path.endswith("google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent")
        assert {k.lower(): v for k, v in server.peer.headers.items()}["authorization"] == "Bearer token-of-a-test"


async def test_events_without_words_in_this_protocol_are_no_frames():
    codec = GeminiServerCodec()
    assert codec.encode(Error(ValueError("x"))) == []
    assert codec.encode(SessionStarted()) != []
    assert codec.encode(SessionStarted()) == []
    assert UpdateSession is not None
