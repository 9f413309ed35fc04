"""The chat against a scripted backend, on a clock that jumps."""

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest
from duologue import RealtimeAgent, Tool
from duologue.blocks import AudioBlock, TextBlock
from duologue.errors import ConnectionLost, DuologueError, RateLimited, UnsupportedFormat
from duologue.events import (
    AudioOutputDelta,
    Error,
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
from duologue.testing import (
    Committed,
    ContentSent,
    End,
    Expect,
    ReplyStopped,
    ScriptedTransport,
    VirtualClock,
    Wait,
    assert_no_leaks,
    speech,
    tone,
)
from duologue.transport import Capabilities
from duologue.types import StopReason, WordTime
from duologue_cli.chat import RATE, STALLED_S, Chat
from duologue_cli.floor import PAUSE_S, SETTLE_S, SILENCE_S
from duologue_cli.recording import WavWriter
from duologue_cli.turns import GivenTurns, Turn
from duologue_cli.wav import Sound


class Shown:
    """An output that remembers."""

    def __init__(self):
        self.events, self.replies, self.latencies, self.typed_lines = [], [], [], []

    def event(self, event, t, reply=None):
        self.events.append((t, event))
        if isinstance(event, Interrupted):
            self.replies.append(reply.text if reply else None)

    def latency(self, latency):
        self.latencies.append(latency)

    def typed(self, text):
        self.typed_lines.append(text)

    def of(self, kind):
        return [(t, event) for t, event in self.events if isinstance(event, kind)]


def voice(ms):
    """Up to a second of sound of which no two blocks of 20 ms are the same."""
    return tone(ms, rate=16000, hz=443)


def spoken(ms=500):
    return Turn("Hello.", Sound.from_pcm16(voice(ms), 16000))


def typed(text="Hello."):
    return Turn(text)


HEARD = Expect(ContentSent, where=lambda record: record.content == FIRST_BLOCK, within=60)
FIRST_BLOCK = AudioBlock(voice(20), "audio/pcm;rate=16000")


def converse(script, turns, *, tools=(), capabilities=None, recording=None, stop_at=None, hang=(), **kwargs):
    """Run a chat to its end; return it with what was shown and sent."""
    transport = ScriptedTransport(script, capabilities=capabilities or Capabilities(), hang=hang)
    shown = Shown()

    async def main():
        async with assert_no_leaks():
            agent = RealtimeAgent("Be brief.", transport, list(tools), close_timeout=0.0)
            await agent.connect()
            chat = Chat(agent, shown, recording=recording, voice=any(not turn.typed for turn in turns), **kwargs)
            if stop_at is not None:
                asyncio.get_running_loop().call_later(stop_at, chat.stop, 2)
            await chat.run(GivenTurns(turns))
            await agent.close()
        return chat, agent.history

    clock = VirtualClock()
    chat, history = clock.run(main())
    return chat, shown, history, transport, clock.now


def reply(text="I am fine.", ms=1000, name="r1", complete=True):
    return speech(text, ms=ms, response_id=name, item_id=f"item-{name}", complete=complete)


def test_turns_are_spoken_in_real_time_one_after_the_other():
    script = [HEARD, Wait(2), *reply(name="r1"), HEARD, Wait(2), *reply(name="r2")]
    chat, _shown, _, transport, took = converse(script, [spoken(500), spoken(500)])
    assert (chat.outcome.begun, chat.outcome.answered, chat.outcome.failure) == (2, 2, None)
    # the first loud block, two seconds until the reply, a second of reply, the pause: twice
    assert took == pytest.approx(2 * (0.02 + 2 + 1 + PAUSE_S), abs=0.1)
    blocks = [record.content for record in transport.sent if isinstance(record, ContentSent)]
    assert {block.media_type for block in blocks} == {"audio/pcm;rate=16000"}
    assert {len(block.data) for block in blocks} == {640}
    assert len(blocks) == pytest.approx(took / 0.02, abs=3)
    assert sum(any(block.data) for block in blocks) in (50, 51)


def test_the_session_gets_the_rate_it_prefers():
    script = [Expect(ContentSent), *reply()]
    _, _, _, transport, _ = converse(script, [spoken(20)], capabilities=Capabilities(input_rates=(8000, 16000)))
    blocks = [record.content for record in transport.sent if isinstance(record, ContentSent)]
    assert {(block.media_type, len(block.data)) for block in blocks} == {("audio/pcm;rate=8000", 320)}


def test_typed_turns_send_no_audio_and_ask_for_a_reply():
    parts = {"response_id": "r1", "end_of_turn": 0, "asr": 0, "llm_first": 120, "tts_first": 110}
    latency = ProviderEvent("local", "latency", parts)
    script = [Expect(Committed), latency, *reply(), Expect(Committed), *reply(name="r2")]
    chat, shown, history, transport, _ = converse(script, [typed("One?"), typed("Two?")])
    assert chat.outcome.answered == 2
    assert [r.content for r in transport.sent if isinstance(r, ContentSent)] == [TextBlock("One?"), TextBlock("Two?")]
    assert shown.typed_lines == ["One?", "Two?"]
    assert [message.text for message in history] == ["One?", "I am fine.", "Two?", "I am fine."]
    assert chat.measures.latencies == []


def test_progress_needs_no_turn_complete():
    script = [HEARD, *reply(name="r1", complete=False), HEARD, *reply(name="r2", complete=False)]
    chat, *_, took = converse(script, [spoken(100), spoken(100)], capabilities=Capabilities(has_turns=False))
    assert chat.outcome.answered == 2
    assert took == pytest.approx(2 * (1 + SETTLE_S), abs=0.2)
    chat, *_, took = converse(script, [spoken(100), spoken(100)])
    assert chat.outcome.answered == 2
    assert took == pytest.approx(2 * (1 + SILENCE_S), abs=0.2)


def test_a_turn_that_nobody_answers_is_told_and_the_conversation_goes_on():
    script = [HEARD, HEARD, *reply()]
    chat, shown, *_ = converse(script, [spoken(), spoken()])
    assert (chat.outcome.begun, chat.outcome.answered) == (2, 1)
    ((_, problem),) = shown.of(Problem)
    assert problem.exception.code == "unanswered"
    assert "turn 1 was not answered in 20 s" in str(problem.exception)


def test_nobody_ever_answers():
    chat, *_, took = converse([], [spoken(500)], silence_s=3.0)
    assert (chat.outcome.begun, chat.outcome.answered) == (1, 0)
    assert took == pytest.approx(0.5 + 3.0, abs=0.1)


def test_a_tool_runs_while_the_chat_waits():
    async def slow() -> str:
        """Take long."""
        await asyncio.sleep(25)
        return "done"

    call = [ToolUseStart(0, "c", "slow"), ToolInputDelta(0, "c", "{}"), ToolUseEnd(0, "c")]
    script = [HEARD, *call, TurnComplete(StopReason.tool_use), Wait(27), *reply()]
    chat, *_, took = converse(script, [spoken()], tools=[Tool("slow", slow)])
    assert chat.outcome.answered == 1
    assert took == pytest.approx(27 + 1 + PAUSE_S, abs=0.1)
    assert [(tool["name"], tool["result"], tool["elapsed_ms"]) for tool in chat.measures.tools] == [
        ("slow", "done", pytest.approx(25_000, abs=1))
    ]


# -- interruptions ------------------------------------------------------------------------------------------


def interrupted_script(then=None):
    """A reply of ten seconds that comes at once; the user speaks again and the server notices after 300 ms."""
    numbers = "one two three four five six seven eight nine ten"
    words = tuple(WordTime(word, 1000.0 * n) for n, word in enumerate(numbers.split(), 1))
    return [
        HEARD,
        Wait(1),
        TranscriptDelta("assistant", numbers, item_id="item-r1", words=words),
        *(AudioOutputDelta(tone(100), response_id="r1", item_id="item-r1") for _ in range(100)),
        HEARD,
        Wait(0.3),
        SpeechStarted(),
        Interrupted("r1"),
        TurnComplete(StopReason.interrupted, response_id="r1"),
        Wait(0.5),
        *(reply("Stopped.", name="r2") if then is None else then),
    ]


def test_barging_in_stops_the_speaker_and_tells_what_was_heard(tmp_path: Path):
    recording = WavWriter(tmp_path / "out.wav", RATE)
    recording.begin()
    capabilities = Capabilities(truncation=True)
    chat, shown, history, transport, _ = converse(
        interrupted_script(), [spoken(120), spoken(400)], barge_in_s=2.0, recording=recording, capabilities=capabilities
    )
    recording.close()
    assert chat.outcome.answered == 2
    ((noticed, _),) = shown.of(SpeechStarted)
    (begins, _), *_ = shown.of(AudioOutputDelta)
    assert noticed - begins == pytest.approx(2.0 + 0.3, abs=0.1)
    _, right = channels(tmp_path / "out.wav")
    silent = right[int(noticed * RATE) + 1 : int((noticed + 0.49) * RATE)]
    assert not silent.any()
    assert np.abs(right[int(begins * RATE) : int(noticed * RATE)]).max() > 1000
    heard_ms = int((noticed - begins) * 1000)
    truncated = [record for record in transport.sent if type(record).__name__ == "Truncated"]
    assert [(record.item_id, record.heard_ms) for record in truncated] == [("item-r1", pytest.approx(heard_ms, abs=2))]
    first, second = (message for message in history if message.role == "assistant")
    assert (first.text, first.heard, second.text) == ("one two", False, "Stopped.")
    assert shown.replies == [first.text]


def test_without_barge_in_the_reply_is_waited_for():
    script = [HEARD, *reply(ms=5000), HEARD, *reply(name="r2")]
    chat, shown, *_ = converse(script, [spoken(100), spoken(100)])
    assert chat.outcome.answered == 2
    assert not shown.of(Interrupted)


def test_a_short_reply_is_not_waited_for_longer_than_it_lasts():
    script = [HEARD, *reply(ms=300), HEARD, *reply(name="r2", ms=300)]
    chat, *_, took = converse(script, [spoken(100), spoken(100)], barge_in_s=30)
    assert chat.outcome.answered == 2
    assert took < 5


def test_typing_into_a_reply_cuts_it():
    script = [Expect(Committed), *reply(ms=5000), Expect(Committed), *reply("Stopped.", name="r2")]
    chat, shown, history, _transport, _ = converse(script, [typed("Talk."), typed("Stop.")], barge_in_s=1.0)
    ((_, cut),) = shown.of(Interrupted)
    assert cut.heard_ms == pytest.approx(1000, abs=40)
    assert chat.outcome.answered == 2
    assert [message.heard for message in history if message.role == "assistant"] == [False, True]


def test_an_interruption_without_notice_of_speech_stops_the_speaker_too():
    script = [HEARD, *list(reply(ms=5000))[:-2], Wait(1), Interrupted("r1"), Wait(2), *reply(name="r2", ms=500)]
    chat, _shown, *_, took = converse(script, [spoken(100)])
    assert chat.outcome.answered == 1
    assert took == pytest.approx(1 + 2 + 0.5 + PAUSE_S, abs=0.1)


def test_noticed_speech_stops_the_speaker_though_the_server_cuts_nothing():
    script = [HEARD, *reply(ms=5000), HEARD, SpeechStarted(), Wait(1), *reply("Stopped.", name="r2", ms=500)]
    _, shown, *_, took = converse(script, [spoken(100), spoken(100)], barge_in_s=1.0)
    ((_, cut),) = shown.of(Interrupted)
    assert cut.heard_ms == pytest.approx(1000, abs=50)
    assert took == pytest.approx(1 + 1 + 0.5 + PAUSE_S, abs=0.15)


def test_a_cut_reply_without_a_word_heard_shows_none_of_an_older_one():
    script = interrupted_script(then=())
    script += [AudioOutputDelta(tone(100), response_id="r3", item_id="item-r3") for _ in range(20)]
    script += [Wait(0.2), SpeechStarted(), Interrupted("r3"), Wait(0.5), *reply("Stopped.", name="r2")]
    _, shown, *_ = converse(script, [spoken(120), spoken(400)], barge_in_s=2.0)
    assert shown.replies == ["one two", None]


def test_speech_while_nothing_plays_cuts_nothing():
    script = [HEARD, SpeechStarted(), Wait(1), SpeechStopped(), *reply()]
    _chat, shown, _, transport, _ = converse(script, [spoken(100)])
    assert not shown.of(Interrupted)
    assert ReplyStopped() not in transport.sent


def test_a_reply_far_ahead_of_the_speaker_is_cut_and_told(monkeypatch):
    monkeypatch.setattr("duologue_cli.chat.AHEAD_S", 1.0)
    _chat, shown, *_ = converse([HEARD, *list(reply(ms=3000))], [spoken(100)])
    ((_, problem),) = shown.of(Problem)
    assert "ahead of the speaker" in str(problem.exception)
    assert len(shown.of(Interrupted)) == 1


# -- measures and recording ---------------------------------------------------------------------------------


def channels(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)
    return both[0::2], both[1::2]


def span(channel):
    """Where sound begins and ends, in seconds."""
    loud = np.flatnonzero(np.abs(channel) > 100)
    return loud[0] / RATE, loud[-1] / RATE


def test_the_recording_has_both_sides_at_their_true_times(tmp_path: Path):
    recording = WavWriter(tmp_path / "out.wav", RATE)
    recording.begin()
    script = [HEARD, Wait(1.5), *reply(ms=1000)]
    _, shown, _, _, took = converse(script, [spoken(500)], recording=recording)
    recording.close()
    left, right = channels(tmp_path / "out.wav")
    assert span(left) == (pytest.approx(0.0, abs=0.05), pytest.approx(0.5, abs=0.05))
    begins = shown.of(AudioOutputDelta)[0][0]
    assert span(right) == (pytest.approx(begins, abs=0.002), pytest.approx(begins + 1.0, abs=0.002))
    assert len(left) / RATE == pytest.approx(took, abs=0.03)


def test_times_count_from_the_opening_of_the_session(tmp_path: Path):
    """The user's voice may be ready only after the session is: the silence until then is in the recording."""
    recording = WavWriter(tmp_path / "out.wav", RATE)
    recording.begin()
    _, shown, *_ = converse([HEARD, *reply()], [spoken(500)], recording=recording, began_at=-0.7)
    recording.close()
    left, right = channels(tmp_path / "out.wav")
    begins = shown.of(AudioOutputDelta)[0][0]
    assert begins == pytest.approx(0.72, abs=0.05)
    assert span(left)[0] == pytest.approx(0.7, abs=0.05)
    assert span(right)[0] == pytest.approx(begins, abs=0.002)


def test_latency_parts_reported_by_the_session_sum():
    parts = {"response_id": "r1", "end_of_turn": 320, "asr": 100, "llm_first": 120, "tts_first": 110}
    script = [HEARD, Wait(1), ProviderEvent("local", "latency", parts), Wait(0.005), *reply()]
    chat, shown, *_ = converse(script, [spoken(100)])
    (latency,) = chat.measures.latencies
    assert latency.voice_to_voice_ms == pytest.approx(655, abs=0.2)
    assert shown.latencies == [latency]


def test_a_full_disk_ends_the_conversation_with_one_reason(tmp_path: Path):
    class Full(WavWriter):
        def write(self, stereo):
            if stereo:
                tried.append(len(stereo))
                raise OSError(28, "No space left on device")

    tried: list[int] = []
    full = Full(tmp_path / "out.wav", RATE)
    chat, *_, took = converse([HEARD, *reply(ms=5000)], [spoken(100)], recording=full)
    full.close()
    assert len(tried) == 1
    assert took < 3  # it is written as it goes, not when all is over
    assert isinstance(chat.outcome.failure, DuologueError)
    assert "No space left" in str(chat.outcome.failure)


# -- how it ends --------------------------------------------------------------------------------------------


def test_the_session_dies():
    chat, shown, *_, took = converse([HEARD, Wait(1), RateLimited("slow down")], [spoken(100)])
    assert str(chat.outcome.failure) == "slow down"
    assert [str(event.exception) for _, event in shown.of(Error)] == ["slow down"]
    assert took < 3


def test_the_session_ends_too_early():
    chat, *_ = converse([HEARD, *reply(), End()], [spoken(100), spoken(100)])
    assert isinstance(chat.outcome.failure, ConnectionLost)


def test_a_session_that_takes_no_audio_is_given_up():
    chat, *_, took = converse([], [spoken(100)], hang=["send"])
    assert isinstance(chat.outcome.failure, ConnectionLost)
    assert took == pytest.approx(STALLED_S, abs=0.1)


def test_a_refused_block_ends_the_conversation_with_its_reason():
    class Deaf(ScriptedTransport):
        async def connect(self, **kwargs):
            session = await super().connect(**kwargs)

            async def refuse(content):
                raise UnsupportedFormat("only at 48 kHz")

            session.send = refuse
            return session

    async def main():
        async with RealtimeAgent("", Deaf(), close_timeout=0.0) as agent:
            return await Chat(agent, Shown()).run(GivenTurns([spoken()]))

    assert str(VirtualClock().run(main()).failure) == "only at 48 kHz"


def test_stopping_ends_at_once_and_the_history_holds_what_was_heard():
    script = [HEARD, *reply("one two three four five six seven eight nine ten", ms=10_000)]
    chat, _, history, _transport, took = converse(script, [spoken(100)], stop_at=3.0)
    assert chat.outcome.stopped_by == 2
    assert took == pytest.approx(3.0, abs=0.05)
    (message,) = (message for message in history if message.role == "assistant")
    assert not message.heard
    assert message.text == "one two three"


def test_stopping_while_a_reply_is_being_made_leaves_nothing_unheard_in_the_history():
    script = [HEARD, TranscriptDelta("assistant", "Words before their sound", item_id="i"), Wait(30)]
    _, _, history, transport, _ = converse(script, [spoken(100)], stop_at=1.0)
    assert not [message.text for message in history if message.role == "assistant"]
    assert ReplyStopped() in transport.sent


def test_a_machine_that_slept_does_not_send_the_silence_it_missed():
    transport_sent = []

    class Sleepy(ScriptedTransport):
        async def connect(self, **kwargs):
            session = await super().connect(**kwargs)
            send = session.send

            async def slow_once(content):
                transport_sent.append(asyncio.get_running_loop().time())
                if len(transport_sent) == 10:
                    await asyncio.sleep(10)
                await send(content)

            session.send = slow_once
            return session

    async def main():
        transport = Sleepy([HEARD, Wait(15), *reply(ms=200)])
        async with RealtimeAgent("", transport, close_timeout=0.0) as agent:
            chat = Chat(agent, Shown())
            await chat.run(GivenTurns([spoken(1000)]))
            return chat, transport

    chat, transport = VirtualClock().run(main())
    assert chat.outcome.answered == 1
    assert len([t for t in transport_sent if t < 10.5]) < 40
    blocks = [record.content.data for record in transport.sent if isinstance(record, ContentSent)]
    assert b"".join(blocks).strip(b"\0") == voice(1000).strip(b"\0")
