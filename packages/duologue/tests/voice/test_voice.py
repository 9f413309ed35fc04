"""The façade over a scripted backend: every parameter, default and sentence of its document, and what is better."""

import asyncio
import logging
import subprocess
import sys
import threading

import pytest
from duologue import (
    AudioBlock,
    AudioOutputDelta,
    Capabilities,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    DuologueError,
    Interrupted,
    LinkError,
    MissingExtra,
    Problem,
    ProtocolError,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextBlock,
    Tool,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TurnComplete,
    TurnDetection,
    tool,
)
from duologue import TranscriptDelta as Said
from duologue.testing import (
    CallAnswered,
    Committed,
    ContentSent,
    End,
    Expect,
    ReplyStopped,
    ScriptedTransport,
    Wait,
    assert_no_leaks,
    speech,
    virtual_time,
)
from duologue.voice import (
    AudioChunk,
    RealtimeConfig,
    RealtimeConnectionError,
    RealtimeError,
    RealtimeProvider,
    RealtimeVoice,
    ToolCallRequest,
    ToolDefinition,
    TranscriptDelta,
    VADMode,
)
from duologue.voice import profiles as p

PIECE = b"\1\0" * 480
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def voice_on(transport, config=None, *, name="scripted", profile=None):
    """A façade on a transport of the test's."""

    class Provider(RealtimeProvider):
        def _make_transport(self):
            return transport

    Provider.name = name
    if profile is not None:
        p_before = p.PROFILES.get(name)
        assert p_before is None or p_before is profile
    RealtimeVoice.register_provider("test", Provider)
    try:
        return RealtimeVoice(provider="test", config=config)
    finally:
        del RealtimeVoice._registered["test"]


def answer(text="Hello there."):
    return [Expect(Committed), *speech(text)]


def call(name="weather", arguments='{"city": "Oslo"}', call_id="c1"):
    return [
        ToolUseStart(0, call_id, name),
        ToolInputDelta(0, call_id, arguments),
        ToolUseEnd(0, call_id),
        TurnComplete(StopReason.tool_use),
    ]


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


# -- configuration -----------------------------------------------------------------------------------------


def test_the_defaults_are_the_documented_ones():
    config = RealtimeConfig()
    assert (config.model, config.voice, config.instructions) == (None, "alloy", "You are a helpful assistant.")
    assert config.vad_mode is VADMode.SERVER
    assert (config.vad_threshold, config.vad_prefix_padding_ms, config.vad_silence_duration_ms) == (0.5, 300, 500)
    assert (config.temperature, config.max_tokens, config.tools, config.strict) == (0.8, 4096, [], False)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("vad_threshold", 2),
        ("vad_threshold", "high"),
        ("vad_prefix_padding_ms", -1),
        ("vad_silence_duration_ms", -1),
        ("temperature", 3),
        ("max_tokens", 0),
        ("vad_mode", "sometimes"),
        ("sample_rate", 1),
    ],
)
def test_a_value_that_cannot_be_meant_raises(setting, value):
    with pytest.raises(ConfigurationError, match=setting):
        RealtimeConfig(**{setting: value})


@pytest.mark.parametrize("profile", p.PROFILES.values(), ids=lambda profile: profile.name)
def test_defaults_never_raise_and_warn_of_nothing(profile, caplog):
    for strict in (False, True):
        p.say(RealtimeConfig(strict=strict), profile)
    assert caplog.records == []


@pytest.mark.parametrize("profile", p.PROFILES.values(), ids=lambda profile: profile.name)
def test_every_setting_arrives_or_is_named_in_one_warning(profile, caplog):
    changes = {
        "temperature": 0.3,
        "max_tokens": 100,
        "vad_threshold": 0.7,
        "vad_prefix_padding_ms": 100,
        "vad_silence_duration_ms": 900,
    }
    for name, value in changes.items():
        caplog.clear()
        said = p.say(RealtimeConfig(**{name: value}), profile)
        told = {**said.options, **vars_of(said.detection)}
        arrived = value in told.values()
        assert arrived != (len(caplog.records) == 1)
        if not arrived:
            assert name in caplog.text
            with pytest.raises(ConfigurationError, match=name):
                p.say(RealtimeConfig(**{name: value}, strict=True), profile)


def vars_of(detection):
    return {name: getattr(detection, name) for name in ("threshold", "prefix_ms", "silence_ms")}


@pytest.mark.parametrize(
    ("profile", "voice", "becomes"),
    [
        (p.OPENAI, "alloy", "alloy"),
        (p.OPENAI, "marin", "marin"),
        (p.OPENAI, "Puck", "echo"),
        (p.OPENAI, "Charon", "alloy"),
        (p.OPENAI, "Zephyr", "alloy"),
        (p.GEMINI, "Puck", "Puck"),
        (p.GEMINI, "echo", "Puck"),
        (p.GEMINI, "shimmer", "Aoede"),
        (p.LOCAL, "Kore", None),
    ],
)
def test_a_voice_of_another_provider_becomes_the_nearest(profile, voice, becomes, caplog):
    said = p.say(RealtimeConfig(voice=voice), profile)
    assert said.voice == becomes
    own = voice == becomes
    assert len(caplog.records) == (0 if own else 1)
    if not own:
        assert voice in caplog.text
        with pytest.raises(ConfigurationError, match=voice):
            p.say(RealtimeConfig(voice=voice, strict=True), profile)


def test_a_voice_nobody_knows_raises():
    with pytest.raises(ConfigurationError, match="nobody"):
        p.say(RealtimeConfig(voice="nobody"), p.OPENAI)
    with pytest.raises(ConfigurationError, match="nobody"):
        p.say(RealtimeConfig(voice="nobody"), p.GEMINI)
    assert p.say(RealtimeConfig(voice="my-own"), p.LOCAL).voice == "my-own"  # the transport knows its voices


@pytest.mark.parametrize(
    ("profile", "model", "becomes"),
    [
        (p.OPENAI, "gpt-4o-realtime-preview", "gpt-realtime-2.1"),
        (p.OPENAI, "gpt-realtime-2", "gpt-realtime-2"),
        (p.GEMINI, "gemini-2.0-flash-exp", "gemini-3.8-live"),
        (p.GEMINI, "gemini-3.8-live", "gemini-3.8-live"),
        (p.LOCAL, "gpt-4o-realtime-preview", None),
    ],
)
def test_a_retired_model_becomes_its_successor(profile, model, becomes, caplog):
    assert p.say(RealtimeConfig(model=model), profile).model == becomes
    assert len(caplog.records) == (0 if model == becomes else 1)
    if model != becomes:
        with pytest.raises(ConfigurationError, match=model):
            p.say(RealtimeConfig(model=model, strict=True), profile)


def test_a_model_of_the_other_provider_raises():
    with pytest.raises(ConfigurationError, match="gemini"):
        p.say(RealtimeConfig(model="gemini-3.8-live"), p.OPENAI)


def test_manual_mode_is_said():
    assert p.say(RealtimeConfig(vad_mode=VADMode.MANUAL), p.OPENAI).detection == TurnDetection("manual")
    assert p.say(RealtimeConfig(), p.OPENAI).detection == TurnDetection("server", 0.5, 300, 500)


# -- providers ---------------------------------------------------------------------------------------------


def choice(monkeypatch, **environment):
    from duologue.voice.facade import _choose

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return _choose()


def test_the_provider_follows_the_environment(monkeypatch):
    assert choice(monkeypatch)[0] == "local"
    assert choice(monkeypatch, GOOGLE_API_KEY="k") == ("gemini", "GOOGLE_API_KEY is set")
    assert choice(monkeypatch, GEMINI_API_KEY="k") == ("gemini", "GEMINI_API_KEY is set")
    assert choice(monkeypatch, OPENAI_API_KEY="k") == ("openai", "OPENAI_API_KEY is set")


def test_what_was_chosen_and_where_audio_goes_is_said(monkeypatch, caplog):
    import duologue.voice.facade as facade

    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setattr(facade.RealtimeVoice, "_make", lambda self, name: scripted_provider(name))
    with caplog.at_level(logging.INFO, "duologue.voice"):
        RealtimeVoice()
    assert "openai" in caplog.text
    assert "OPENAI_API_KEY" in caplog.text
    assert "audio goes to" in caplog.text


def scripted_provider(name):
    class Provider(RealtimeProvider):
        pass

    Provider.name = name
    return Provider(transport=ScriptedTransport())


def test_a_provider_nobody_knows_raises():
    with pytest.raises(ConfigurationError, match="nobody"):
        RealtimeVoice(provider="nobody")


def test_a_provider_whose_package_is_missing_says_what_to_install(monkeypatch):
    import duologue.discovery
    import duologue.voice

    monkeypatch.setattr(duologue.discovery, "_installed", list)
    with pytest.raises(MissingExtra, match="duologue-openai"):
        RealtimeVoice(provider="openai")
    with pytest.raises(MissingExtra, match="duologue-google"):
        _ = duologue.voice.GeminiRealtimeProvider
    with pytest.raises(AttributeError):
        _ = duologue.voice.Nonsense


def test_registered_providers_are_listed():
    RealtimeVoice.register_provider("mine", RealtimeProvider)
    try:
        assert "mine" in RealtimeVoice.available_providers()
        assert "mine" in RealtimeVoice.configured_providers()
        assert "local" not in RealtimeVoice.configured_providers()
    finally:
        del RealtimeVoice._registered["mine"]


def test_the_package_does_not_load_the_facade():
    code = "import sys, duologue; assert not [m for m in sys.modules if m.startswith('duologue.voice')]"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- data and errors ---------------------------------------------------------------------------------------


def test_the_data_models_take_what_the_document_gives_them():
    assert AudioChunk(data=b"...", duration_ms=100, is_final=False).duration_ms == 100
    assert TranscriptDelta(text="Hello there", is_final=True, speaker="assistant").speaker == "assistant"
    assert ToolCallRequest(call_id="c", function_name="f", arguments={"a": 1}).arguments == {"a": 1}
    assert ToolDefinition(name="f", description="d", parameters={"type": "object"}).name == "f"


def test_the_errors_are_in_our_tree():
    error = RealtimeConnectionError("gone")
    assert isinstance(error, RealtimeError)
    assert isinstance(error, LinkError)
    assert isinstance(error, DuologueError)
    assert error.message == "gone"


# Plain callbacks and tools run on threads, for which virtual time does not wait: such tests run in real time.

# -- sessions ----------------------------------------------------------------------------------------------


async def test_callbacks_hear_both_sides_and_the_session_closes_clean():
    heard, said, both = [], [], []
    script = [SpeechStarted("u"), SpeechStopped("u"), Said("user", "Hi", final=True, item_id="u")]
    transport = ScriptedTransport([*script, *answer("Hello there.")])
    voice = voice_on(transport, RealtimeConfig(instructions="Be brief."))
    voice.on_audio(heard.append)
    voice.on_transcript(lambda text, is_final: said.append((text, is_final)))
    voice.on_transcript(lambda text, is_final, speaker: both.append((text, is_final, speaker)))
    async with assert_no_leaks():
        async with voice.connect() as session:
            assert session.is_active
            await session.send_text("Hello")
            await session.wait_until_idle()
        assert not session.is_active
    assert b"".join(heard)
    assert said[-1] == ("Hello there.", True)
    assert "".join(text for text, is_final in said if not is_final) == "Hello there."
    assert ("Hi", True, "user") in both
    assert transport.connected_with[0]["system"] == "Be brief."
    assert ContentSent(TextBlock("Hello")) in transport.sent


@virtual_time
async def test_audio_is_sent_at_the_documented_rate_and_manual_turns_are_committed():
    transport = ScriptedTransport(answer(), Capabilities(input_rates=(16000,), manual_turns=True))
    voice = voice_on(transport, RealtimeConfig(vad_mode=VADMode.MANUAL))
    async with voice.connect() as session:
        await session.send_audio(PIECE)
        await session.commit_audio()
        await session.wait_until_idle()
    assert transport.sent[:2] == [ContentSent(AudioBlock(PIECE, "audio/pcm;rate=16000")), Committed()]
    assert transport.connected_with[0]["turn_detection"] == TurnDetection("manual")


async def test_interrupting_stops_late_audio_and_tells_it():
    blocked, heard, stops = threading.Event(), [], []
    script = [Expect(Committed), *[AudioOutputDelta(PIECE, response_id="r")] * 20, Expect(ReplyStopped)]
    transport = ScriptedTransport([*script, TurnComplete(StopReason.interrupted, response_id="r")])
    voice = voice_on(transport)

    @voice.on_audio
    def slow(audio):
        heard.append(audio)
        blocked.wait(5)

    @voice.on_interrupted
    async def stop():
        stops.append(True)

    async with voice.connect() as session:
        await session.send_text("go")
        await until(lambda: heard)
        await session.interrupt()
        await until(lambda: stops)
        blocked.set()
        await session.wait_until_idle()
    assert len(heard) == 1
    assert stops == [True]


async def test_the_user_speaking_cuts_what_still_plays():
    cuts = []
    script = [Expect(Committed), *[AudioOutputDelta(PIECE * 100, response_id="r")] * 2]
    script += [TurnComplete(StopReason.end_turn, response_id="r"), Wait(0.1), SpeechStarted(), SpeechStopped()]
    voice = voice_on(ScriptedTransport(script))
    voice.on_interrupted(lambda: cuts.append(True))
    async with voice.connect() as session:
        await session.send_text("go")
        await until(lambda: cuts)
    assert cuts == [True]


@virtual_time
async def test_a_failing_callback_is_told_and_ends_nothing():
    errors, said = [], []
    voice = voice_on(ScriptedTransport([*answer("One."), *answer("Two.")]))

    @voice.on_transcript
    async def fail(text, is_final):
        said.append(text)
        raise ValueError("no")

    @voice.on_error
    async def tell(error):
        errors.append(error)

    async with voice.connect() as session:
        await session.send_text("a")
        await session.wait_until_idle()
        await session.send_text("b")
        await session.wait_until_idle()
    assert "Two." in said
    assert errors
    assert all(
        isinstance(error, RealtimeError) and "on_transcript: ValueError: no" in error.message for error in errors
    )


async def test_a_callback_that_hangs_holds_up_only_its_own_kind():
    hang, said = threading.Event(), []
    voice = voice_on(ScriptedTransport(answer("Hello there.")))
    voice.on_audio(lambda audio: hang.wait(30))
    voice.on_transcript(lambda text, is_final: said.append(text))
    async with voice.connect() as session:
        await session.send_text("a")
        await until(lambda: "Hello there." in said)
    hang.set()


@virtual_time
async def test_without_on_error_problems_are_logged(caplog):
    voice = voice_on(ScriptedTransport([Problem(ProtocolError("odd")), *answer()]))
    async with voice.connect() as session:
        await session.send_text("a")
        await session.wait_until_idle()
    assert "odd" in caplog.text


@virtual_time
async def test_registering_twice_and_connecting_twice_doubles_nothing():
    said = []
    voice = voice_on(ScriptedTransport(lambda: answer("Hi.")))

    @voice.on_transcript
    async def hear(text, is_final):
        if is_final:
            said.append(text)

    voice.on_transcript(hear)
    for _ in range(2):
        async with voice.connect() as session:
            await session.send_text("a")
            await session.wait_until_idle()
    assert said == ["Hi.", "Hi."]


async def test_after_a_drop_nothing_can_be_sent():
    errors = []
    voice = voice_on(ScriptedTransport([ConnectionLost("the link was lost", code="1006")]))
    voice.on_error(errors.append)
    async with voice.connect() as session:
        await until(lambda: not session.is_active)
        with pytest.raises(RealtimeConnectionError, match="lost") as caught:
            await session.send_text("a")
        assert isinstance(caught.value.__cause__, ConnectionLost)
        assert isinstance(errors[0], RealtimeConnectionError)
    with pytest.raises(RealtimeConnectionError, match=r"closed|ended"):
        await session.send_audio(PIECE)


@pytest.mark.parametrize(
    ("refuse", "error"),
    [(ConnectFailed("no"), RealtimeConnectionError), (ConfigurationError("bad"), RealtimeError)],
)
@virtual_time
async def test_a_connection_that_fails_raises_the_facades_error(refuse, error):
    voice = voice_on(ScriptedTransport(refuse=refuse))
    with pytest.raises(error) as caught:
        async with voice.connect():
            pass
    assert caught.value.__cause__ is refuse
    assert type(caught.value) is error


# -- tools -------------------------------------------------------------------------------------------------


def get_weather(city: str) -> str:
    """Get the weather."""
    return f"sunny in {city}"


class Desk:
    def look_up(self, city: str) -> str:
        """Look something up."""
        return f"found {city}"


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@tool
async def forecast(city: str) -> str:
    """Tell the forecast."""
    return f"rain in {city}"


@pytest.mark.parametrize(
    ("given", "name", "result"),
    [
        (get_weather, "get_weather", "sunny in Oslo"),
        (Desk().look_up, "look_up", "found Oslo"),
        (forecast, "forecast", "rain in Oslo"),
        (Tool("mine", get_weather), "mine", "sunny in Oslo"),
        ({"name": "d", "parameters": SCHEMA, "handler": get_weather}, "d", "sunny in Oslo"),
        ({"type": "function", "function": {"name": "f", "parameters": SCHEMA}}, "f", None),
        (ToolDefinition("t", "d", SCHEMA), "t", None),
    ],
)
async def test_tools_come_in_many_forms(given, name, result):
    transport = ScriptedTransport([Expect(Committed), *call(name), Expect(CallAnswered), *speech("Done.")])
    voice = voice_on(transport, RealtimeConfig(tools=[given]))
    async with voice.connect() as session:
        await session.send_text("a")
        await session.wait_until_idle()
    [answered] = [record for record in transport.sent if isinstance(record, CallAnswered)]
    assert answered.content == (result or f"error: nothing answers calls of {name}: register on_tool_call")
    assert "city" in transport.connected_with[0]["tools"][0].input_schema["properties"]


def test_what_is_no_tool_raises():
    for nonsense in (5, {"name": "x"}, "get_weather"):
        with pytest.raises(ConfigurationError, match="tool"):
            voice_on(ScriptedTransport(), RealtimeConfig(tools=[nonsense]))


async def test_on_tool_call_sees_every_call_and_may_answer_it():
    seen = []
    script = [Expect(Committed), *call("get_weather"), Expect(CallAnswered)]
    script += [*call("unheard_of", call_id="c2"), Expect(CallAnswered)]
    script += [*call("get_weather", '{"city": "Rome"}', "c3"), Expect(CallAnswered), *speech("Done.")]
    transport = ScriptedTransport(script)
    voice = voice_on(transport, RealtimeConfig(tools=[get_weather]))

    @voice.on_tool_call
    async def see(request: ToolCallRequest):
        seen.append(request)
        return "snow" if request.arguments.get("city") == "Rome" else None

    async with voice.connect() as session:
        await session.send_text("a")
        await session.wait_until_idle()
    assert [request.function_name for request in seen] == ["get_weather", "unheard_of", "get_weather"]
    answers = [record.content for record in transport.sent if isinstance(record, CallAnswered)]
    assert answers == ["sunny in Oslo", "Unknown tool: unheard_of", "snow"]


async def test_a_blocking_tool_delays_neither_audio_nor_interruption():
    release, heard, stops = threading.Event(), [], []

    def slow(city: str) -> str:
        release.wait(10)
        return "late"

    script = [Expect(Committed), *call("slow"), *[AudioOutputDelta(PIECE, response_id="r2")] * 3, Interrupted("r2")]
    voice = voice_on(ScriptedTransport(script), RealtimeConfig(tools=[slow]))
    voice.on_audio(heard.append)
    voice.on_interrupted(lambda: stops.append(True))
    async with voice.connect() as session:
        await session.send_text("a")
        await until(lambda: stops)
        release.set()


async def test_a_failing_tool_is_told_to_the_model_and_to_on_error():
    errors = []

    def broken(city: str) -> str:
        raise RuntimeError("out of order")

    transport = ScriptedTransport([Expect(Committed), *call("broken"), Expect(CallAnswered), *speech("Sorry.")])
    voice = voice_on(transport, RealtimeConfig(tools=[broken]))
    voice.on_error(errors.append)
    async with voice.connect() as session:
        await session.send_text("a")
        await session.wait_until_idle()
    [answered] = [record for record in transport.sent if isinstance(record, CallAnswered)]
    assert answered.content == "error: RuntimeError: out of order"
    assert [error.message for error in errors] == ["tool broken: RuntimeError: out of order"]


@virtual_time
async def test_a_tool_past_its_time_limit_is_told_to_both():
    errors = []

    async def endless(city: str) -> str:
        await asyncio.Event().wait()
        return ""

    tools = [Tool("endless", endless, timeout=2)]
    transport = ScriptedTransport([Expect(Committed), *call("endless"), Expect(CallAnswered), *speech("Sorry.")])
    voice = voice_on(transport, RealtimeConfig(tools=tools))

    @voice.on_error
    async def tell(error):
        errors.append(error.message)

    async with voice.connect() as session:
        await session.send_text("a")
        await session.wait_until_idle()
    assert errors == ["tool endless: endless was stopped at its time limit of 2 s"]


async def test_arguments_that_do_not_fit_are_told_to_the_model():
    transport = ScriptedTransport(
        [Expect(Committed), *call("get_weather", '{"town": 5}'), Expect(CallAnswered), *speech("Sorry.")]
    )
    voice = voice_on(transport, RealtimeConfig(tools=[get_weather]))
    async with voice.connect() as session:
        await session.send_text("a")
        await session.wait_until_idle()
    [answered] = [record for record in transport.sent if isinstance(record, CallAnswered)]
    assert answered.content.startswith("error: ")


# -- run() -------------------------------------------------------------------------------------------------


async def microphone(pieces=3):
    for _ in range(pieces):
        yield PIECE
        await asyncio.sleep(0)


@virtual_time
async def test_run_yields_until_the_last_reply_is_complete():
    script = [Expect(ContentSent), SpeechStarted(), SpeechStopped(), Wait(3), *speech("Hello there.")]
    voice = voice_on(ScriptedTransport(script))
    seen = [piece async for piece in voice.run(microphone())]
    chunks = [piece for piece in seen if isinstance(piece, AudioChunk)]
    assert chunks[-1].is_final
    assert all(chunk.duration_ms > 0 for chunk in chunks[:-1])
    words = [piece for piece in seen if isinstance(piece, TranscriptDelta)]
    assert "".join(word.text for word in words) == "Hello there."
    assert words[-1].is_final


@virtual_time
async def test_run_takes_plain_iterables_and_manual_turns():
    transport = ScriptedTransport(answer("Yes."), Capabilities(manual_turns=True))
    voice = voice_on(transport, RealtimeConfig(vad_mode=VADMode.MANUAL))
    seen = [piece async for piece in voice.run([PIECE, PIECE])]
    assert "".join(piece.text for piece in seen if isinstance(piece, TranscriptDelta)) == "Yes."
    assert transport.sent.count(Committed()) == 1


async def endless():
    while True:
        yield PIECE
        await asyncio.sleep(0.02)


@virtual_time
async def test_run_ends_when_the_server_ends():
    voice = voice_on(ScriptedTransport([*speech("Bye."), End()]))
    async with assert_no_leaks(), asyncio.timeout(20):
        seen = [piece async for piece in voice.run(endless())]
    assert any(isinstance(piece, TranscriptDelta) for piece in seen)


@virtual_time
async def test_run_raises_how_the_session_broke_off():
    voice = voice_on(ScriptedTransport([*speech("Bye."), ConnectionLost("gone")]))
    with pytest.raises(RealtimeConnectionError, match="gone"):
        async for _ in voice.run(endless()):
            pass


@virtual_time
async def test_run_raises_what_the_microphone_raised():
    async def broken():
        yield PIECE
        raise OSError("unplugged")

    voice = voice_on(ScriptedTransport())
    with pytest.raises(OSError, match="unplugged"):
        async for _ in voice.run(broken()):
            pass


@virtual_time
async def test_leaving_run_early_closes_the_session():
    transport = ScriptedTransport([*speech("A long story.")])
    voice = voice_on(transport)
    async with assert_no_leaks():
        stream = voice.run(endless())
        async for _ in stream:
            break
        await stream.aclose()


@virtual_time
async def test_a_slow_listener_holds_the_session_up_not_the_microphone():
    script = [AudioOutputDelta(PIECE, response_id="r")] * 300
    transport = ScriptedTransport([*script, TurnComplete(StopReason.end_turn, response_id="r")])
    voice = voice_on(transport)
    taken = 0

    async def speaking():
        for _ in range(100):
            yield PIECE
            await asyncio.sleep(0.02)

    async for piece in voice.run(speaking()):
        if isinstance(piece, AudioChunk) and piece.data:
            taken += 1
            if taken == 3:
                await asyncio.sleep(1.0)
                sent = len(transport.sent)
                assert sent > 30
    assert taken == 300


# -- providers used directly -------------------------------------------------------------------------------


async def test_a_provider_connects_once_and_disconnects():
    said = []
    provider = scripted_provider("openai")
    provider._transport = ScriptedTransport(answer("Hi."))
    provider.on_transcript(lambda text, is_final: said.append(text))
    session = await provider.connect()
    assert await provider.connect() is session
    await session.send_text("a")
    await session.wait_until_idle()
    await provider.disconnect()
    await provider.disconnect()
    assert not session.is_active
    assert said[-1] == "Hi."
    [connected] = provider._transport.connected_with
    assert connected["voice"] == "alloy"
    assert connected["options"] == {"max_output_tokens": 4096}
    assert connected["input_audio_format"] == "audio/pcm;rate=24000"
