"""The official client, unmodified, async and sync, against our server half with a stand-in model behind it."""

import asyncio
import base64
import contextlib
import threading

import pytest
from duologue import TextDelta, TurnComplete
from duologue.testing import Peer, StandIn, WireServer
from duologue.types import StopReason
from duologue.wire import ProviderCommand
from duologue_openai import OpenAIServerCodec

openai = pytest.importorskip("openai")
pytestmark = pytest.mark.clients

TOOL = {
    "type": "function",
    "name": "clock",
    "description": "Tell the time.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PCM = base64.b64encode(bytes(4800)).decode()


def text_item(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def brain(peer: Peer) -> None:
    """A stand-in that also answers out-of-band requests."""
    commands = peer.next

    async def next_command():
        command = await commands()
        if isinstance(command, ProviderCommand) and command.data.get("response", {}).get("conversation") == "none":
            response_id = command.data["response_id"]
            end = TurnComplete(StopReason.end_turn, response_id=response_id)
            await peer.send(TextDelta(0, "a greeting", response_id), end)
        return command

    peer.next = next_command
    await StandIn(pace=0.02, resumable=False, tells_results=False)(peer)


@contextlib.asynccontextmanager
async def connected():
    async with WireServer(OpenAIServerCodec, brain) as server:
        client = openai.AsyncOpenAI(api_key="sk-test", base_url=server.url.replace("ws", "http") + "/v1")
        async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
            yield connection, server


async def until(connection, kind, within=20.0):
    seen = []
    async with asyncio.timeout(within):
        while True:
            event = await connection.recv()
            seen.append(event)
            if event.type == kind:
                return event, seen


async def test_the_request_is_what_the_protocol_wants():
    async with connected() as (connection, server):
        created = await connection.recv()
        assert created.type == "session.created"
        assert server.peer.path == "/v1/realtime?model=gpt-realtime-2.1"
        assert server.peer.headers["Authorization"] == "Bearer sk-test"


async def test_a_typed_turn_is_answered_with_audio_and_transcript():
    async with connected() as (connection, _):
        await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        updated, _ = await until(connection, "session.updated")
        assert updated.session.instructions == "Be brief."
        await connection.conversation.item.create(item=text_item("hello there"))
        await connection.response.create()
        done, seen = await until(connection, "response.done")
        assert done.response.status == "completed"
        audio = b"".join(base64.b64decode(e.delta) for e in seen if e.type == "response.output_audio.delta")
        assert len(audio) == 4 * 1920
        [words] = [e.transcript for e in seen if e.type == "response.output_audio_transcript.done"]
        assert words == "hello there "


async def test_spoken_audio_is_committed_and_answered():
    async with connected() as (connection, _):
        await connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        await connection.input_audio_buffer.append(audio=PCM)
        await connection.input_audio_buffer.commit()
        committed, _ = await until(connection, "input_audio_buffer.committed")
        await connection.response.create()
        _, seen = await until(connection, "response.done")
        assert committed.item_id
        assert any(e.type == "response.output_audio.delta" for e in seen)
        await connection.input_audio_buffer.clear()
        await until(connection, "input_audio_buffer.cleared")


async def test_functions_are_called_and_their_results_told():
    async with connected() as (connection, _):
        await connection.session.update(session={"type": "realtime", "tools": [TOOL]})
        await connection.conversation.item.create(item=text_item('call clock {"city": "Oslo"}\ncall clock {}'))
        await connection.response.create()
        done, seen = await until(connection, "response.done")
        calls = [item for item in done.response.output if item.type == "function_call"]
        assert [call.arguments for call in calls] == ['{"city": "Oslo"}', "{}"]
        assert [e.arguments for e in seen if e.type == "response.function_call_arguments.done"] == [
            '{"city": "Oslo"}',
            "{}",
        ]
        for call in calls:
            await connection.conversation.item.create(
                item={"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
            )
        await connection.response.create()
        done, _ = await until(connection, "response.done")
        assert done.response.status == "completed"


async def test_a_reply_is_cancelled_and_truncated():
    async with connected() as (connection, _):
        await connection.conversation.item.create(item=text_item("story 500"))
        await connection.response.create()
        delta, _ = await until(connection, "response.output_audio.delta")
        await connection.response.cancel()
        done, _ = await until(connection, "response.done")
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "client_cancelled"
        await connection.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=20)
        truncated, _ = await until(connection, "conversation.item.truncated")
        assert truncated.audio_end_ms == 20


async def test_errors_name_the_event_that_caused_them():
    async with connected() as (connection, _):
        await connection.response.cancel(event_id="my-cancel")
        error, _ = await until(connection, "error")
        assert (error.error.code, error.error.event_id) == ("response_cancel_not_active", "my-cancel")
        await connection.input_audio_buffer.commit()
        error, _ = await until(connection, "error")
        assert error.error.code == "input_audio_buffer_commit_empty"
        await connection.conversation.item.create(item=text_item("story 500"))
        await connection.response.create()
        await connection.response.create(event_id="second")
        error, _ = await until(connection, "error")
        assert (error.error.code, error.error.event_id) == ("conversation_already_has_active_response", "second")
        await connection.conversation.item.truncate(item_id="nothing", content_index=0, audio_end_ms=0)
        error, _ = await until(connection, "error")
        assert error.error.code == "item_truncate_invalid_item_id"
        await connection.session.update(session={"type": "realtime", "temperature": 1})
        error, _ = await until(connection, "error")
        assert error.error.code == "unknown_parameter"


async def test_items_are_retrieved_and_deleted():
    async with connected() as (connection, _):
        await connection.conversation.item.create(item={"id": "mine", **text_item("hi")})
        await until(connection, "conversation.item.done")
        await connection.conversation.item.retrieve(item_id="mine")
        retrieved, _ = await until(connection, "conversation.item.retrieved")
        assert retrieved.item.content[0].text == "hi"
        await connection.conversation.item.delete(item_id="mine")
        deleted, _ = await until(connection, "conversation.item.deleted")
        assert deleted.item_id == "mine"


async def test_an_out_of_band_reply_is_told_by_its_metadata():
    async with connected() as (connection, _):
        await connection.conversation.item.create(item=text_item("story 50"))
        await connection.response.create()
        await until(connection, "response.created")
        await connection.response.create(
            response={"conversation": "none", "metadata": {"topic": "kind"}, "output_modalities": ["text"]}
        )
        seen = []
        while not any(e.type == "response.done" and e.response.metadata for e in seen):
            seen.append(await connection.recv())
        assert seen[-1].response.metadata == {"topic": "kind"}
        assert seen[-1].response.output[0].content[0].text == "a greeting"
        done, _ = await until(connection, "response.done")
        assert done.response.status == "completed"


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")  # the client's own
def test_the_sync_client_does_the_same():
    """In a thread of its own, as it blocks."""
    told = []

    def use(url):
        client = openai.OpenAI(api_key="sk-test", base_url=url)
        with client.realtime.connect(model="gpt-realtime") as connection:
            connection.session.update(session={"type": "realtime", "tools": [TOOL]})
            connection.conversation.item.create(item=text_item("call clock {}"))
            connection.response.create()
            for event in connection:
                told.append(event.type)
                if event.type == "response.done" and event.response.output[0].type == "function_call":
                    call_id = event.response.output[0].call_id
                    connection.conversation.item.create(
                        item={"type": "function_call_output", "call_id": call_id, "output": "noon"}
                    )
                    connection.response.create()
                elif event.type == "response.output_audio.delta" and "response.cancel" not in told:
                    told.append("response.cancel")
                    connection.response.cancel()
                    connection.conversation.item.truncate(item_id=event.item_id, content_index=0, audio_end_ms=10)
                elif event.type == "response.done":
                    connection.response.cancel()
                elif event.type == "error":
                    told.append(event.error.code)
                    return

    async def main():
        async with WireServer(OpenAIServerCodec, brain) as server:
            over = asyncio.Event()
            loop = asyncio.get_running_loop()

            def work():
                use(server.url.replace("ws", "http") + "/v1")
                loop.call_soon_threadsafe(over.set)

            threading.Thread(target=work, daemon=True).start()
            async with asyncio.timeout(30):
                await over.wait()

    asyncio.run(main())
    assert told[-1] == "response_cancel_not_active"
    assert told.count("response.done") == 2
