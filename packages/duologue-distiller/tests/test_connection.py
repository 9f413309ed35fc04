"""The documented client: connecting, sending, reading, cancelling, custom agents, and how it all ends."""

import asyncio
import json
import threading
import time

import pytest
from duologue import (
    AudioBlock,
    ConnectFailed,
    ConnectionLost,
    LocalProtocolError,
    ProtocolError,
    SessionClosed,
    TextBlock,
)
from duologue.events import AgentChanged, AudioOutputDelta, Interrupted, TranscriptDelta, TurnComplete
from duologue.testing import Peer, StandIn, assert_no_leaks, virtual_time
from duologue.types import StopReason
from duologue.wire import (
    AnswerCall,
    ClearInput,
    CommitTurn,
    LinkPolicy,
    NotePlayback,
    ProviderCommand,
    SendContent,
    StopReply,
)
from duologue_distiller import AsyncAIRefinery, DistillerServerCodec

from .front import served

END, CUT = TurnComplete(StopReason.end_turn), TurnComplete(StopReason.interrupted)
SOUND = AudioOutputDelta(b"\1\2" * 160, "audio/pcm;rate=16000")


def said(delta):
    return TranscriptDelta("assistant", delta)


def push_to_talk():
    return DistillerServerCodec(barge_in=False)


class Opened:
    """A connection to a brain, and the server in front of it."""

    def __init__(self, brain, codec=DistillerServerCodec, executors=None, **options):
        self._brain, self._codec, self._executors, self._options = brain, codec, executors, options

    async def __aenter__(self):
        self._leaks = assert_no_leaks()
        await self._leaks.__aenter__()
        self._served = served(self._brain, self._codec)
        self.front = await self._served.__aenter__()
        client = AsyncAIRefinery(api_key="key-of-a-test", base_url=self.front.url)
        self.vc = client.realtime_distiller("example", "test", self._executors, **self._options)
        try:
            await self.vc.__aenter__()
        except BaseException as exc:
            await self._served.__aexit__(type(exc), exc, None)
            raise
        return self

    async def __aexit__(self, *details):
        await self.vc.close()
        await self._served.__aexit__(*details)
        await self._leaks.__aexit__(*details)

    async def kinds(self):
        return [message["type"] async for message in self.vc.get_responses()]


# -- the document: sending and reading ---------------------------------------------------------------------


@virtual_time
async def test_a_typed_question_is_answered_in_dicts_up_to_the_end():
    async with Opened(StandIn()) as opened:
        await opened.vc.send_text_query("hello there")
        messages = [message async for message in opened.vc.get_responses()]
    kinds = [message["type"] for message in messages]
    assert kinds[:2] == ["session.created", "response.created"]
    assert kinds[-3:] == ["response.audio.done", "response.text.done", "response.done"]
    assert {"response.text.delta", "response.audio.delta"} < set(kinds)
    assert all(type(message) is dict for message in messages)
    assert "".join(m.get("content", "") for m in messages) == "hello there "
    assert {m["role"] for m in messages if m["type"] == "response.text.delta"} == {"assistant"}


@virtual_time
async def test_audio_is_streamed_and_answered():
    async with Opened(StandIn()) as opened:
        for block in [b"\x10\x27" * 320] * 20 + [bytes(640)] * 12:
            await opened.vc.send_audio_chunk(block)
        assert (await opened.kinds())[-1] == "response.done"


@pytest.mark.parametrize(
    ("call", "command"),
    [
        (lambda vc: vc.send_audio_chunk(b"\1\2"), SendContent(AudioBlock(b"\1\2", "audio/pcm;rate=16000"))),
        (lambda vc: vc.send_text_query("hi"), SendContent(TextBlock("hi"))),
        (lambda vc: vc.commit_audio(), CommitTurn()),
        (lambda vc: vc.clear_audio_buffer(), ClearInput()),
        (lambda vc: vc.send_update(), ProviderCommand("session.update")),
        (lambda vc: vc.notify_playback_started(), NotePlayback(True)),
        (lambda vc: vc.notify_playback_stopped(), NotePlayback(False)),
    ],
)
def test_a_call_is_a_command(call, command):
    got = []

    async def brain(peer):
        got.append(await peer.next())

    @virtual_time
    async def run():
        async with Opened(brain) as opened:
            assert await call(opened.vc) is None
            await asyncio.sleep(1)

    run()
    assert got == [command]


@virtual_time
async def test_blank_text_and_no_audio_are_value_errors():
    async with Opened(StandIn()) as opened:
        for text in ("", "  \n", None):
            with pytest.raises(ValueError, match="empty"):
                await opened.vc.send_text_query(text)
            with pytest.raises(ValueError, match="empty"):
                await opened.vc.send_text_and_respond(text)
        with pytest.raises(ValueError, match="empty"):
            await opened.vc.send_audio_chunk(b"")


@virtual_time
async def test_the_project_its_version_and_the_user_are_in_the_address():
    async with Opened(StandIn(), project_version="3") as opened:
        assert opened.front.sockets[0][0] == "/distiller/realtime/org/example:3/test"


@virtual_time
async def test_a_cancel_without_a_response_sends_nothing():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(SOUND, END)
        await peer.expect(NotePlayback)
        assert not any(isinstance(c, StopReply) for c in peer.commands)

    async with Opened(brain) as opened:
        await opened.vc.cancel_response()
        await opened.vc.send_text_query("hi")
        await opened.vc.cancel_response()
        await opened.kinds()
        await opened.vc.cancel_response()
        await opened.vc.notify_playback_stopped()
        await asyncio.sleep(1)


@virtual_time
async def test_a_cancel_ends_the_response():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"), SOUND)
        await peer.expect(StopReply)
        await peer.send(CUT)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("hi")
        kinds = []
        async for message in opened.vc.get_responses():
            kinds.append(message["type"])
            if message["type"] == "response.audio.delta":
                await opened.vc.cancel_response()
        assert kinds[-3:] == ["response.audio.done", "response.text.done", "response.done"]


@virtual_time
async def test_what_is_left_of_an_abandoned_response_is_not_taken_for_the_next():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("old"))
        await peer.expect(StopReply)
        await peer.send(said("old too"), CUT)
        await peer.expect(CommitTurn)
        await peer.send(said("new"), END)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("one")
        async for message in opened.vc.get_responses():
            if message["type"] == "response.text.delta":
                break
        await opened.vc.cancel_response()
        await asyncio.sleep(1)
        await opened.vc.send_text_query("two")
        assert [m["content"] async for m in opened.vc.get_responses() if m["type"] == "response.text.delta"] == ["new"]


@virtual_time
async def test_an_end_that_comes_when_the_next_response_has_begun_does_not_end_that():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("old"))
        await peer.expect(CommitTurn)
        for kind in ("response.created", "response.done"):  # the second one is the old one's
            await peer.frame(json.dumps({"type": kind}))
        await peer.frame(json.dumps({"type": "response.text.delta", "content": "new"}))
        await peer.frame(json.dumps({"type": "response.done"}))

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("one")
        async for message in opened.vc.get_responses():
            if message["type"] == "response.text.delta":
                await opened.vc.cancel_response()
                break
        await opened.vc.send_text_query("two")
        assert [m["content"] async for m in opened.vc.get_responses() if m["type"] == "response.text.delta"] == ["new"]


@virtual_time
async def test_reading_in_two_loops_goes_on_where_the_first_one_left_off():
    async with Opened(StandIn()) as opened:
        await opened.vc.send_text_query("one two three")
        words = []
        for _ in range(9):
            async for message in opened.vc.get_responses():
                words.append(message.get("content", ""))
                if message["type"] == "response.text.delta":
                    break
            else:
                break
        assert "".join(words) == "one two three "


@virtual_time
async def test_a_read_that_times_out_loses_nothing():
    async with Opened(StandIn()) as opened:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await opened.kinds()
        await opened.vc.send_text_query("hi")
        assert (await opened.kinds())[-1] == "response.done"


@virtual_time
async def test_two_loops_at_once_are_refused():
    async with Opened(StandIn()) as opened:
        reading = asyncio.ensure_future(opened.kinds())
        await asyncio.sleep(0.1)
        with pytest.raises(LocalProtocolError, match="one loop"):
            await opened.kinds()
        reading.cancel()
        await asyncio.wait([reading])


@virtual_time
async def test_push_to_talk_drops_audio_during_a_response_and_barge_in_sends_it():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(SOUND)
        await peer.expect(NotePlayback)
        await peer.send(END)

    for codec, dropped in ((push_to_talk, 1), (DistillerServerCodec, 0)):
        async with Opened(brain, codec) as opened:
            await opened.vc.send_text_query("hi")
            async for message in opened.vc.get_responses():
                if message["type"] == "response.audio.delta":
                    assert opened.vc.response_active
                    await opened.vc.send_audio_chunk(b"\1\2")
                    await opened.vc.notify_playback_started()
            assert opened.vc.input_dropped == dropped
            assert opened.vc.barge_in is not bool(dropped)


@virtual_time
async def test_an_interruption_is_shown_and_followed_by_the_end():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(SOUND, Interrupted(), CUT)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("hi")
        kinds = await opened.kinds()
        assert kinds[kinds.index("response.interrupted") :][-1] == "response.done"


# -- faults ------------------------------------------------------------------------------------------------


@virtual_time
async def test_frames_with_nulls_and_nonsense_do_not_end_the_stream():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        for frame in ("[]", "{", '{"type":"response.text.delta","content":null,"role":null}', '{"type":"PING"}'):
            await peer.frame(frame)
        await peer.frame(b"\xff")
        await peer.send(said("a"), END)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("hi")
        assert (await opened.kinds()).count("response.done") == 1


@virtual_time
async def test_an_error_is_raised_and_the_session_goes_on():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.frame('{"type":"error","error_detail":{"message":"overloaded"}}')
        await peer.expect(CommitTurn)
        await peer.send(said("a"), END)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("hi")
        with pytest.raises(ProtocolError, match="overloaded"):
            await opened.kinds()
        await opened.vc.send_text_query("hi")
        assert (await opened.kinds())[-1] == "response.done"


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        (lambda peer: peer.frame('{"type":"error","error":"no such project"}'), "no such project"),
        (lambda peer: peer.close(1011, "User is already connected"), "already"),
        (lambda peer: peer.close(1008, "go away"), "go away"),
        (lambda peer: asyncio.sleep(60), "within 10 s"),
    ],
)
def test_a_refusal_before_the_session_stands_is_told_at_once(refuse, words):
    class Silent(DistillerServerCodec):
        def encode(self, event):
            return []

    @virtual_time
    async def run():
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(ConnectFailed, match=words):
            async with Opened(refuse, Silent):
                pass
        assert loop.time() - started < 11

    run()


@pytest.mark.parametrize(
    ("code", "words"), [(1000, "before its response was complete"), (1008, "kept out"), (1002, "1002")]
)
def test_a_close_in_mid_response_is_raised(code, words):
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"))
        await peer.close(code, "kept out")

    @virtual_time
    async def run():
        async with Opened(brain) as opened:
            await opened.vc.send_text_query("hi")
            with pytest.raises(ConnectionLost, match=words):
                await opened.kinds()
            with pytest.raises(SessionClosed):
                await opened.vc.send_text_query("hi")

    run()


@virtual_time
async def test_a_broken_response_is_told_and_the_next_question_goes_over_a_new_connection():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"))
        if peer.number == 1:
            peer.abort()
        else:
            await peer.send(END)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("hi")
        with pytest.raises(ConnectionLost, match="broke off"):
            await opened.kinds()
        await opened.vc.send_text_query("again")
        assert (await opened.kinds())[-1] == "response.done"


@virtual_time
async def test_a_question_that_was_lost_is_asked_again():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        if peer.number == 1:
            peer.abort()
        else:
            await peer.send(said("a"), END)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("hi")
        assert (await opened.kinds())[-1] == "response.done"
        assert len(opened.front.sockets) == 2


@virtual_time
async def test_a_server_that_falls_silent_is_noticed():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(said("a"))
        peer.freeze()
        await asyncio.sleep(100)

    async with Opened(brain, policy=lambda: LinkPolicy(attempts=1)) as opened:
        await opened.vc.send_text_query("hi")
        async with asyncio.timeout(60):
            with pytest.raises(ConnectionLost):
                await opened.kinds()


@virtual_time
async def test_one_client_serves_many_sessions_and_keeps_nothing_of_a_failed_one():
    """State belongs to a connection: leaving in mid-response mutes no later one."""

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(SOUND)
        await peer.next()

    async with served(brain, push_to_talk) as front:
        client = AsyncAIRefinery(base_url=front.url)
        for _ in range(3):
            async with client.realtime_distiller("example", "test") as vc:
                await vc.send_audio_chunk(b"\1\2")
                assert vc.input_dropped == 0
                await vc.send_text_query("hi")
                async for message in vc.get_responses():
                    if message["type"] == "response.audio.delta":
                        break
                assert vc.response_active
        assert front.paths() == ["/authentication/validate"]


@virtual_time
async def test_a_connection_that_is_not_open_says_so():
    vc = AsyncAIRefinery(base_url="http://127.0.0.1:9").realtime_distiller("example", "test")
    for use in (vc.send_text_query("hi"), vc.send_audio_chunk(b"\1"), vc.cancel_response(), vc.commit_audio()):
        with pytest.raises(SessionClosed, match="async with"):
            await use
    with pytest.raises(SessionClosed):
        async for _ in vc.get_responses():
            pass
    await vc.close()


# -- custom agents -----------------------------------------------------------------------------------------


def calling(*requests, answers):
    """A brain that asks custom agents and collects their answers, raw."""

    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        for request in requests:
            await peer.frame(json.dumps({"status": "wait", **request}))
        for _ in requests:
            answers.append(await peer.expect(AnswerCall, within=2000))
        await peer.send(said("done"), END)

    return brain


async def ask(executors, *requests, **options):
    answers = []
    async with Opened(calling(*requests, answers=answers), executors=executors, **options) as opened:
        await opened.vc.send_text_query("go")
        assert "wait" not in await opened.kinds()
    return {answer.tool_use_id: answer.content for answer in answers}


@virtual_time(patience=5.0)  # one of them runs on a thread, which takes real time
async def test_functions_of_all_kinds_run_and_answer():
    def plain(query: str) -> str:
        assert threading.current_thread() is not threading.main_thread()
        return f"plain {query}"

    async def waits(query, request_id):
        return {"query": query, "id": request_id}

    class Many:
        async def __call__(self, **arguments):
            return sorted(arguments)

    executors = {"Plain": plain, "Waits": waits, "Many": Many(), "Tools": [plain]}
    found = await ask(
        executors,
        {"role": "Plain", "request_id": "1", "kwargs": {"query": "q", "unwanted": 1}},
        {"role": "Waits", "request_id": "2", "kwargs": {"query": "q"}},
        {"role": "Many", "request_id": "3", "kwargs": {"b": 1}},
        {"role": "Tools", "request_id": "4", "kwargs": {"__executor__": "plain", "query": "t"}},
    )
    assert found == {"1": "plain q", "2": '{"query": "q", "id": "2"}', "3": '["b", "request_id"]', "4": "plain t"}


@virtual_time
async def test_every_request_is_answered_also_when_it_fails():
    async def fails(query):
        raise RuntimeError("no luck")

    async def hangs():
        await asyncio.sleep(5000)

    executors = {"Fails": fails, "Hangs": hangs}
    found = await ask(
        executors,
        {"role": "Fails", "request_id": "1", "kwargs": {"query": "q"}},
        {"role": "Fails", "request_id": "2", "kwargs": {}},
        {"role": "Nobody", "request_id": "3", "kwargs": {}},
        {"role": None, "request_id": "4", "kwargs": {}},
        {"role": "Fails", "request_id": "5", "kwargs": "not an object"},
        {"role": "Hangs", "request_id": "6", "kwargs": None},
        executor_timeout=60,
    )
    assert found["1"] == "error: RuntimeError: no luck"
    assert "query" in found["2"]
    assert found["3"] == "Unknown tool: Nobody"
    assert found["4"] == "Unknown tool: "
    assert found["5"].startswith("error: ")
    assert found["6"] == "error: Hangs took longer than 60 s"


@virtual_time
async def test_what_an_agent_changes_in_its_environment_is_remembered():
    def remembers(env_variable):
        env_variable["b"] = 3
        env_variable["c"] = [4]
        return "ok"

    answers = []

    class Raw(DistillerServerCodec):
        def decode(self, frame):
            answers.append(json.loads(frame))
            return super().decode(frame)

    async def brain(peer: Peer):
        await peer.frame('{"status":"wait","role":"R","request_id":"1","kwargs":{"env_variable":{"a":1,"b":2}}}')
        await peer.expect(AnswerCall)

    async with Opened(brain, Raw, {"R": remembers}):
        await asyncio.sleep(1)
    assert answers[0]["request_args"]["memory_updates"] == {"env_variable": {"b": 3, "c": [4]}}
    assert answers[0]["request_args"]["content"] == "ok"


@virtual_time
async def test_a_slow_agent_delays_nothing():
    def slow():
        time.sleep(0.3)
        return "slow"

    async def brain(peer: Peer):
        await peer.frame('{"status":"wait","role":"Slow","request_id":"1"}')
        await peer.send(said("meanwhile"), END)
        await peer.expect(AnswerCall)

    async with Opened(brain, executors={"Slow": slow}) as opened:
        before = time.monotonic()
        await opened.kinds()
        assert time.monotonic() - before < 0.3


@virtual_time
async def test_closing_while_an_agent_runs_ends_and_answers_it():
    stopped, answers = [], []

    async def endless():
        try:
            await asyncio.sleep(1e6)
        finally:
            stopped.append(True)

    async def brain(peer: Peer):
        for number in "12":
            await peer.frame(f'{{"status":"wait","role":"E","request_id":"{number}"}}')
        for _ in "12":
            answers.append(await peer.expect(AnswerCall))

    async with Opened(brain, executors={"E": endless}) as opened:
        await asyncio.sleep(1)
        await opened.vc.close()
        await asyncio.sleep(1)
        assert [(a.tool_use_id, a.name) for a in answers] == [("1", "E"), ("2", "E")]
        assert all("closed the session" in a.content for a in answers)
    assert len(stopped) == 2


@virtual_time
async def test_an_agent_that_is_asked_for_while_the_session_closes_is_answered():
    answers = []

    async def stubborn():
        try:
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(0.5)

    async def brain(peer: Peer):
        await peer.frame('{"status":"wait","role":"S","request_id":"1"}')
        answers.append(await peer.expect(AnswerCall))
        await peer.frame('{"status":"wait","role":"S","request_id":"2"}')
        answers.append(await peer.expect(AnswerCall))

    async with Opened(brain, executors={"S": stubborn}) as opened:
        await asyncio.sleep(1)
        await opened.vc.close()
    assert [a.tool_use_id for a in answers] == ["1", "2"]


@virtual_time
async def test_closing_over_a_dead_link_with_an_agent_running_ends():
    async def endless():
        await asyncio.sleep(1e6)

    async def brain(peer: Peer):
        await peer.frame('{"status":"wait","role":"E","request_id":"1"}')
        await asyncio.sleep(0.5)
        peer.freeze()
        await asyncio.sleep(100)

    async with Opened(brain, executors={"E": endless}) as opened:
        await asyncio.sleep(1)
        async with asyncio.timeout(6):
            await opened.vc.close()


def test_what_is_no_function_is_refused():
    @virtual_time
    async def run():
        with pytest.raises(TypeError, match="executor_dict"):
            async with AsyncAIRefinery(base_url="http://127.0.0.1:9").realtime_distiller("p", "u", {"A": 5}):
                pass

    run()


@virtual_time
async def test_agents_of_one_response_are_told_apart_by_role():
    async def brain(peer: Peer):
        await peer.expect(CommitTurn)
        await peer.send(AgentChanged("A"), said("a"), SOUND, AgentChanged("B"), said("b"), SOUND, END)

    async with Opened(brain) as opened:
        await opened.vc.send_text_query("hi")
        messages = [m async for m in opened.vc.get_responses() if m["type"] == "response.text.delta"]
        assert [m["role"] for m in messages] == ["A", "A", "B", "B"]
