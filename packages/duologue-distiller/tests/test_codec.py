"""The client's codec: what it makes of every message, and of what is no message."""

import json

import pytest
from duologue import AudioBlock, ImageBlock, TextBlock, UnsupportedFormat
from duologue.errors import ConnectFailed, ConnectionLost, ProtocolError, RemoteProtocolError
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Error,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import CallRecord, Message, StopReason
from duologue.wire import (
    AnswerCall,
    ClearInput,
    CommitTurn,
    NotePlayback,
    Opening,
    ProviderCommand,
    SendContent,
    StopReply,
    Truncate,
    UpdateSession,
)
from duologue_distiller import DistillerCodec, DistillerServerCodec, Place
from duologue_distiller.told import tell
from hypothesis import given, settings
from hypothesis import strategies as st

PLACE = Place("example", "test", "2", "org")
CREATED, DONE = {"type": "response.created"}, {"type": "response.done"}
AUDIO = {"type": "response.audio.delta", "audio": "AQIDBA=="}
SOUND = AudioOutputDelta(b"\1\2\3\4", "audio/pcm;rate=16000")
END, CUT = TurnComplete(StopReason.end_turn), TurnComplete(StopReason.interrupted)
BLOCK = SendContent(AudioBlock(b"\0\1" * 4))


def text(content, role=None):
    return {"type": "response.text.delta", "content": content, "role": role}


def said(delta, final=False):
    return TranscriptDelta("assistant", delta, final)


class Talk:
    def __init__(self, barge_in=True, **options):
        self.codec = DistillerCodec(Opening(), PLACE, **options)
        abilities = {"type": "session.created", "capabilities": {"vad_enabled": barge_in}}
        assert self.hear(abilities) == [SessionStarted()]

    def hear(self, *messages):
        events = []
        for message in messages:
            events += self.codec.decode(message if isinstance(message, str | bytes) else json.dumps(message))
        return [e for e in events if not (isinstance(e, ProviderEvent) and e.kind.startswith("response."))]

    def say(self, *commands):
        return [json.loads(frame) for command in commands for frame in self.codec.encode(command)]

    def sent(self):
        frames, self.codec.outgoing = self.codec.outgoing, []
        return [json.loads(frame) for frame in frames]


# -- messages ----------------------------------------------------------------------------------------------

READ = [
    (AUDIO, [SOUND]),
    ({"type": "response.audio.delta", "delta": "AQIDBA=="}, [SOUND]),
    ({"type": "response.audio.delta", "audio": None, "delta": "AQIDBA==", "new": 1}, [SOUND]),
    ({"type": "response.audio.delta", "audio": None}, []),
    ({"type": "response.audio.delta"}, []),
    (text("Hi", "A"), [AgentChanged("A"), said("Hi")]),
    ({"type": "response.text.delta", "text": "Hi"}, [said("Hi")]),
    (text(None), []),
    ({"type": "response.audio_transcript.delta", "delta": "Hi"}, [TranscriptDelta("user", "Hi")]),
    ({"type": "response.audio_transcript.delta", "text": "Hi", "delta": None}, [TranscriptDelta("user", "Hi")]),
    ({"type": "response.audio_transcript.delta"}, []),
    ({"type": "response.audio_transcript.done", "text": "Hi"}, [TranscriptDelta("user", "Hi", True)]),
    ({"type": "response.audio_transcript.done", "text": None}, []),
    ({"type": "response.interrupted"}, [SpeechStarted(), Interrupted()]),
    ({"type": "response.audio.done"}, []),
    ({"type": "response.text.done", "text": None}, []),
    ({"type": "session.created"}, []),
]


@pytest.mark.parametrize(("message", "events"), READ)
def test_a_message_is_read(message, events):
    assert Talk().hear(message) == events


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        '"x"',
        b"\xff\xfe",
        '{"type": 5}',
        "[" * 100000,
        '{"type":"response.audio.delta","audio":"!"}',
        '{"type":"response.text.delta","content":5}',
        '{"type":"session.created","capabilities":[1]}',
    ],
)
def test_nonsense_is_a_problem_and_the_session_goes_on(frame):
    talk = Talk()
    (problem,) = talk.hear(frame)
    assert isinstance(problem, Problem)
    assert isinstance(problem.exception, RemoteProtocolError)
    assert talk.hear(AUDIO) == [SOUND]


@pytest.mark.parametrize("message", [{"type": "session.heartbeat", "n": 1}, {"status": "thinking", "role": "A"}, {}])
def test_what_is_not_modelled_is_passed_on_as_it_came(message):
    (event,) = Talk().hear(message)
    assert event == ProviderEvent("distiller", message.get("type") or message.get("status") or "", message)
    assert event.data == message


@given(st.data())
@settings(max_examples=300)
def test_no_mutation_of_a_message_raises(data):
    """A field is replaced, removed or added, or the text is cut or garbled; the session goes on."""
    call = {"role": "A", "status": "wait", "request_id": "r", "kwargs": {"q": 1}}
    kinds = [m for m, _ in READ] + [CREATED, DONE, call, {"type": "error", "error": "x"}]
    junk = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)
    junk |= st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    names = st.sampled_from(["type", "audio", "delta", "content", "role", "kwargs", "request_id", "status", "error"])
    talk = Talk()
    for _ in range(data.draw(st.integers(1, 6))):
        message = {**data.draw(st.sampled_from(kinds)), **data.draw(st.dictionaries(names, junk, max_size=2))}
        frame = json.dumps(message)
        frame = data.draw(
            st.sampled_from([frame, frame[: len(frame) // 2], frame.replace(":", ",", 1), frame.encode()])
        )
        talk.codec.decode(frame)
    talk.hear(CREATED)
    assert SOUND in talk.hear(AUDIO)
    assert talk.hear(DONE)


def test_a_ping_is_answered_before_the_session_stands():
    codec = DistillerCodec(Opening(), PLACE)
    assert codec.decode('{"type":"PING"}') == []
    assert codec.outgoing == ['{"type":"PONG"}']


def test_an_error_before_the_session_refuses_it_with_the_servers_words():
    codec = DistillerCodec(Opening(), PLACE)
    (event,) = codec.decode('{"type":"error","error_detail":{"message":"no such project"},"error":"x"}')
    assert isinstance(event, Error)
    assert isinstance(event.exception, ConnectFailed)
    assert "no such project" in str(event.exception)


@pytest.mark.parametrize(
    ("message", "words"),
    [({"error": "a"}, "a"), ({"error": {"message": "b"}}, "b"), ({"error_detail": "c"}, "c"), ({}, "no reason")],
)
def test_an_error_ends_the_response_and_not_the_session(message, words):
    talk = Talk()
    talk.hear(CREATED)
    problem, end = talk.hear({"type": "error", **message})
    assert isinstance(problem.exception, ProtocolError)
    assert words in str(problem.exception)
    assert end == TurnComplete(StopReason.error)
    assert talk.hear(DONE) == []
    assert len(talk.hear({"type": "error"})) == 1


@pytest.mark.parametrize(
    ("code", "reason", "kind", "name"),
    [
        (1011, "User is already connected", ConnectFailed, "already_connected"),
        (1011, "Connection timeout (no pong)", ConnectionLost, "idle"),
    ],
)
def test_the_closes_that_the_service_explains(code, reason, kind, name):
    error = DistillerCodec(Opening(), PLACE).explain_close(code, reason)
    assert (type(error), error.code, error.retryable) == (kind, name, True)
    assert DistillerCodec(Opening(), PLACE).explain_close(1011, "boom") is None


def test_a_user_who_came_twice_is_not_fought_for():
    assert not Talk().codec.explain_close(1011, "User is already connected").retryable


# -- responses without ids ---------------------------------------------------------------------------------


def test_agents_take_turns_in_one_response():
    events = Talk().hear(CREATED, text("a", "A"), AUDIO, text("b", "A"), text("c", "B"), AUDIO, DONE)
    assert events == [
        *(AgentChanged("A"), said("a"), SOUND, said("b"), said("", True)),
        *(AgentChanged("B"), said("c"), SOUND, said("", True), END),
    ]


def test_a_cut_response_is_silent_until_its_end():
    talk = Talk()
    events = talk.hear(CREATED, text("a", "A"), {"type": "response.interrupted"}, AUDIO, text("b", "A"), DONE)
    assert events == [AgentChanged("A"), said("a"), said("", True), SpeechStarted(), Interrupted(), CUT]
    assert talk.hear(CREATED, AUDIO, DONE) == [SOUND, END]


def test_the_user_may_cut_in_after_the_last_word_was_made():
    talk = Talk()
    talk.hear(CREATED, AUDIO, DONE)
    assert talk.hear({"type": "response.interrupted"}, DONE) == [SpeechStarted(), Interrupted(), CUT]


def test_a_stop_skips_one_agent():
    talk = Talk()
    talk.hear(CREATED, text("a", "A"), AUDIO)
    assert talk.say(StopReply(), StopReply()) == [{"type": "response.cancel"}]
    assert talk.hear(AUDIO, text("b", "A"), AUDIO) == [said("b")]
    assert talk.hear(text("c", "B"), AUDIO) == [said("", True), CUT, AgentChanged("B"), said("c"), SOUND]
    assert talk.say(StopReply()) == [{"type": "response.cancel"}]
    assert talk.hear(AUDIO, DONE) == [said("", True), CUT]


def test_a_stop_before_the_first_word_skips_the_first_agent():
    talk = Talk()
    talk.hear(CREATED, text("a", "A"), DONE, CREATED)
    talk.say(StopReply())
    assert talk.hear(text("b", "B"), AUDIO) == [AgentChanged("B"), said("b")]
    assert talk.hear(text("c", "C"), AUDIO) == [said("", True), CUT, AgentChanged("C"), said("c"), SOUND]


def test_a_stop_of_the_whole_response_stops_each_agent():
    talk = Talk(whole_response=True)
    talk.hear(CREATED, text("a", "A"), AUDIO)
    assert talk.say(StopReply()) == [{"type": "response.cancel"}]
    assert talk.hear(text("c", "B"), AUDIO) == [said("", True), AgentChanged("B"), said("c")]
    assert talk.sent() == [{"type": "response.cancel"}]
    assert talk.hear(DONE) == [said("", True), CUT]


def test_nothing_is_stopped_when_nothing_is_active():
    talk = Talk()
    assert talk.say(StopReply()) == []
    talk.hear(CREATED, DONE)
    assert talk.say(StopReply()) == []
    talk.hear(CREATED, {"type": "response.interrupted"})
    assert talk.say(StopReply()) == []


def test_a_stop_of_what_has_not_begun_is_sent_when_it_begins():
    talk = Talk()
    talk.say(SendContent(TextBlock("a")), CommitTurn())
    assert talk.say(StopReply()) == []
    assert talk.hear(CREATED, AUDIO) == []
    assert talk.sent() == [{"type": "response.cancel"}]
    assert talk.hear(DONE) == [CUT]


def test_a_new_question_takes_a_waiting_stop_back():
    talk = Talk()
    talk.say(SendContent(TextBlock("a")), CommitTurn(), StopReply(), SendContent(TextBlock("b")), CommitTurn())
    assert talk.hear(CREATED, AUDIO, DONE) == [SOUND, END]


def test_the_late_end_of_a_stopped_response_does_not_end_the_next():
    talk = Talk()
    talk.hear(CREATED, AUDIO)
    talk.say(StopReply(), SendContent(TextBlock("next")), CommitTurn())
    assert talk.hear(CREATED) == [CUT]
    assert talk.hear(DONE) == []
    assert talk.hear(AUDIO, DONE) == [SOUND, END]


def test_an_end_that_comes_twice_or_to_nothing_is_passed_over():
    talk = Talk()
    assert talk.hear(DONE, CREATED, CREATED, AUDIO, DONE, DONE) == [SOUND, END]


def test_a_question_may_be_answered_by_an_end_alone():
    talk = Talk()
    talk.say(SendContent(TextBlock("a")), CommitTurn())
    assert talk.hear(DONE) == [END]


def test_a_response_that_was_never_announced_ends_all_the_same():
    assert Talk().hear(AUDIO, DONE) == [SOUND, END]


# -- commands ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "frames"),
    [
        (BLOCK, [{"type": "input_audio_buffer.append", "audio": "AAEAAQABAAE="}]),
        (CommitTurn(), [{"type": "input_audio_buffer.commit"}]),
        (ClearInput(), [{"type": "input_audio_buffer.clear"}]),
        (NotePlayback(True), [{"type": "playback.started"}]),
        (NotePlayback(False), [{"type": "playback.stopped"}]),
        (ProviderCommand("session.update"), [{"type": "session.update"}]),
        (Truncate("x", 1), []),
        (UpdateSession("x"), []),
        (SendContent(AudioBlock(b"")), []),
        (SendContent(TextBlock(" ")), []),
    ],
)
def test_a_command_is_said(command, frames):
    assert Talk().say(command) == frames


def test_texts_of_a_turn_go_as_one_message():
    talk = Talk()
    assert talk.say(SendContent(TextBlock("a")), SendContent(TextBlock("ü"))) == []
    assert talk.codec.encode(CommitTurn()) == ['{"type":"input_text","text":"a\\n\\nü"}']


@pytest.mark.parametrize("block", [ImageBlock(b"x"), AudioBlock(b"x", "audio/pcmu"), AudioBlock(b"x", "audio/opus")])
def test_what_the_protocol_does_not_carry_is_refused(block):
    with pytest.raises(UnsupportedFormat):
        Talk().say(SendContent(block))


ASKED = Message("user", "Who am I?")
ANSWERED = Message("assistant", "You are Ada.")
CALLED = Message("assistant", "", calls=(CallRecord("1", "clock", {}, "noon"),))
SPEECH = SendContent(AudioBlock(b"\1\2"))
COMMIT = {"type": "input_audio_buffer.commit"}


@pytest.mark.parametrize(
    ("history", "commands", "manual", "turn"),
    [
        ([], [CommitTurn()], False, COMMIT),
        ([], [SPEECH, CommitTurn()], False, COMMIT),
        ([ASKED], [CommitTurn()], False, "Who am I?"),
        ([ASKED], [SPEECH, CommitTurn()], False, "Who am I?"),
        ([ASKED], [SPEECH, CommitTurn()], True, COMMIT),
        ([ASKED], [SPEECH, ClearInput(), CommitTurn()], True, "Who am I?"),
        ([ASKED, ANSWERED], [SPEECH, CommitTurn()], False, COMMIT),
        ([ASKED, ANSWERED], [CommitTurn()], False, tell([ASKED, ANSWERED], "Please go on.")),
        ([ASKED, CALLED], [SPEECH, CommitTurn()], False, tell([ASKED, CALLED], "Please go on.")),
        ([ASKED], [SendContent(TextBlock("So?")), CommitTurn()], False, tell([ASKED], "So?")),
        ([ASKED], [SPEECH, SendContent(TextBlock("So?")), CommitTurn()], True, tell([ASKED], "So?")),
    ],
)
def test_a_turn_tells_what_was_said_before(history, commands, manual, turn):
    codec = DistillerCodec(Opening(history=history), PLACE, tell_history=True, manual=manual)
    *_, last = [json.loads(frame) for command in commands for frame in codec.encode(command)]
    assert last == (turn if isinstance(turn, dict) else {"type": "input_text", "text": turn})


def test_what_was_told_is_told_once_and_only_where_history_is_told():
    codec = DistillerCodec(Opening(history=[ASKED, ANSWERED]), PLACE, tell_history=True)
    asks = [SendContent(TextBlock("So?")), CommitTurn()]
    first, second = (json.loads(frame)["text"] for _ in "12" for command in asks for frame in codec.encode(command))
    assert (first, second) == (tell([ASKED, ANSWERED], "So?"), "So?")
    silent = DistillerCodec(Opening(history=[ASKED]), PLACE)
    assert silent.encode(CommitTurn()) == [json.dumps(COMMIT, separators=(",", ":"))]


def test_an_old_question_is_not_asked_again_by_speech_once_there_was_a_response():
    codec = DistillerCodec(Opening(history=[ASKED]), PLACE, tell_history=True)
    codec.decode('{"type":"response.created"}')
    codec.decode('{"type":"response.done"}')
    assert [json.loads(f) for c in (SPEECH, CommitTurn()) for f in codec.encode(c)][1:] == [COMMIT]


def test_push_to_talk_drops_audio_during_a_response_and_counts_it():
    talk = Talk(barge_in=False)
    talk.hear(CREATED)
    assert talk.say(BLOCK, BLOCK) == []
    assert talk.codec.input_dropped == 2
    talk.hear(DONE)
    assert len(talk.say(BLOCK)) == 1


@pytest.mark.parametrize("message", [{"type": "response.interrupted"}, {"type": "error"}])
def test_push_to_talk_listens_again_after(message):
    talk = Talk(barge_in=False)
    talk.hear(CREATED, message)
    assert len(talk.say(BLOCK)) == 1


def test_barge_in_sends_audio_always():
    talk = Talk()
    talk.hear(CREATED)
    assert len(talk.say(BLOCK)) == 1
    assert talk.codec.input_dropped == 0


# -- custom agents -----------------------------------------------------------------------------------------


def call(**fields):
    return {"role": "Weather", "status": "wait", "request_id": "r1", "kwargs": {"city": "Rome"}, **fields}


def test_a_custom_agent_is_a_tool():
    talk = Talk()
    assert talk.hear(call()) == [
        ToolUseStart(0, "r1", "Weather"),
        ToolInputDelta(0, "r1", '{"city": "Rome"}'),
        ToolUseEnd(0, "r1"),
    ]
    assert talk.say(AnswerCall("r1", "Weather", "sunny")) == [
        {
            "account": "org",
            "request_type": "executor",
            "project": "example:2",
            "uuid": "test",
            "request_args": {"query": "", "image": None, "content": "sunny", "memory_updates": None},
            "role": "Weather",
            "request_id": "r1",
        }
    ]


@pytest.mark.parametrize(
    ("fields", "name", "arguments"),
    [
        ({"type": None}, "Weather", '{"city": "Rome"}'),
        ({"role": None}, "", '{"city": "Rome"}'),
        ({"kwargs": None}, "Weather", "{}"),
        ({"kwargs": "Rome"}, "Weather", '"Rome"'),
        ({"kwargs": {"__executor__": "rain", "city": "Rome"}}, "rain", '{"city": "Rome"}'),
    ],
)
def test_a_call_with_something_missing_is_a_call(fields, name, arguments):
    start, given_, _ = Talk().hear(call(**fields))
    assert (start.name, given_.partial_json) == (name, arguments)


def test_a_call_that_is_repeated_while_it_is_open_is_one_call():
    talk = Talk()
    talk.hear(call())
    (event,) = talk.hear(call())
    assert isinstance(event, ProviderEvent)


@pytest.mark.parametrize("request_id", [None, "r1"])
def test_an_id_that_is_used_again_is_another_call(request_id):
    talk = Talk()
    first = talk.hear(call(request_id=request_id))[0].tool_use_id
    talk.say(AnswerCall(first, "Weather", "sunny"))
    second = talk.hear(call(request_id=request_id))[0].tool_use_id
    assert first != second
    (answer,) = talk.say(AnswerCall(second, "Weather", "rainy"))
    assert answer["request_id"] == (request_id or "single_request")


# -- both halves -------------------------------------------------------------------------------------------

piece = st.one_of(
    st.builds(lambda t: TranscriptDelta("assistant", t), st.text(min_size=1)),
    st.builds(lambda d: AudioOutputDelta(d, "audio/pcm;rate=16000"), st.binary(min_size=1)),
    st.builds(AgentChanged, st.text(min_size=1)),
)


@given(st.lists(st.lists(piece, min_size=1), min_size=1, max_size=3), st.booleans())
def test_what_a_server_says_is_what_a_client_hears(turns, cut):
    server, talk = DistillerServerCodec(), Talk()
    end = [Interrupted(), CUT] if cut else [END]
    wanted, agent, heard = [], "", []
    for turn in turns:
        spoke = False
        for event in [*turn, *end]:
            heard += talk.hear(*server.encode(event))
            if isinstance(event, TranscriptDelta) and not agent:
                agent = "assistant"
                wanted.append(AgentChanged(agent))
            if isinstance(event, AgentChanged):
                if event.role == agent:
                    continue
                agent = event.role
            if isinstance(event, AgentChanged | Interrupted | TurnComplete) and spoke:
                wanted.append(said("", True))
                spoke = False
            wanted += [SpeechStarted(), event] if isinstance(event, Interrupted) else [event]
            spoke = spoke or isinstance(event, TranscriptDelta)
    assert heard == wanted


# -- what a careless server or application does ------------------------------------------------------------


def test_an_interruption_said_twice_is_one():
    assert Talk().hear(CREATED, AUDIO, {"type": "response.interrupted"}, {"type": "response.interrupted"}, DONE) == [
        SOUND,
        SpeechStarted(),
        Interrupted(),
        CUT,
    ]


def test_what_comes_behind_the_end_of_a_cut_response_is_not_heard():
    talk = Talk()
    talk.hear(CREATED, AUDIO, {"type": "response.interrupted"}, DONE)
    assert talk.hear(AUDIO, text("late", "A")) == []
    assert talk.hear(CREATED, AUDIO) == [SOUND]


def test_a_server_that_announces_no_response_is_heard_as_long_as_nothing_was_cut():
    talk = Talk()
    assert talk.hear(AUDIO, DONE, AUDIO) == [SOUND, END, SOUND]


@pytest.mark.parametrize("media_type", ["audio/pcm;rate=24000", "audio/pcm;rate=8000", "audio/pcmu", "audio/opus"])
def test_audio_of_another_rate_is_refused_and_not_misheard(media_type):
    with pytest.raises(UnsupportedFormat, match="16000 Hz"):
        Talk().say(SendContent(AudioBlock(b"\0\1", media_type)))


def test_a_clean_close_in_the_middle_of_a_response_is_a_loss():
    talk = Talk()
    assert talk.codec.explain_close(1000, "") is None
    talk.hear(CREATED, AUDIO)
    lost = talk.codec.explain_close(1000, "bye")
    assert isinstance(lost, ConnectionLost)
    assert lost.retryable
    assert "bye" in str(lost)
    talk.hear(DONE)
    assert talk.codec.explain_close(1000, "") is None
