"""Typed messages survive the wire, in both directions; the list of them is that of the official client."""

import json

import msgspec
import pytest
from duologue_openai import client_events as c
from duologue_openai import server_events as s
from duologue_openai.session_object import AudioInput, SessionObject
from hypothesis import given
from hypothesis import strategies as st

CLIENT = c.ClientEvent.__args__
SERVER = s.ServerEvent.__args__


def resolve():
    """Free-form fields hold what JSON can hold."""
    plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    return st.recursive(plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner))


def fields_of(kind):
    strategies = {}
    for field in msgspec.structs.fields(kind):
        strategies[field.name] = of(field.type)
    return st.builds(kind, **strategies)


def of(annotation):
    args = getattr(annotation, "__args__", None)
    origin = getattr(annotation, "__origin__", None)
    if origin is list:
        return st.lists(of(args[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(st.text(max_size=6), of(args[1]), max_size=2)
    if args:
        return st.one_of([of(arg) for arg in args])
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return fields_of(annotation)
    if annotation is str:
        return st.text(max_size=12)
    if annotation is int:
        return st.integers(-(2**53), 2**53)
    if annotation is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if annotation is bytes:
        return st.binary(max_size=32)
    if annotation is bool:
        return st.booleans()
    if annotation is type(None):
        return st.none()
    if annotation is msgspec.UnsetType:
        return st.just(msgspec.UNSET)
    return resolve()


@pytest.mark.parametrize("kind", CLIENT, ids=lambda kind: kind.__struct_config__.tag)
def test_client_events_survive_the_wire(kind):
    decode = msgspec.json.Decoder(c.ClientEvent).decode

    @given(fields_of(kind))
    def survives(message):
        assert decode(msgspec.json.encode(message)) == message

    survives()


@pytest.mark.parametrize("kind", SERVER, ids=lambda kind: kind.__struct_config__.tag)
def test_server_events_survive_the_wire(kind):
    decode = msgspec.json.Decoder(s.ServerEvent).decode

    @given(fields_of(kind))
    def survives(message):
        assert decode(msgspec.json.encode(message)) == message

    survives()


def test_null_turns_off_and_absence_leaves_as_it_is():
    off = SessionObject(type="realtime", audio=None)
    assert json.loads(msgspec.json.encode(off)) == {"type": "realtime"}
    assert json.loads(msgspec.json.encode(AudioInput(turn_detection=None))) == {"turn_detection": None}


def types_in(module_path: str) -> set[str]:
    """The event types that a union of the official client names."""
    import importlib
    import typing

    module = importlib.import_module(module_path)
    name = {"realtime_client_event": "RealtimeClientEvent", "realtime_server_event": "RealtimeServerEvent"}[
        module_path.rsplit(".", 1)[1]
    ]
    union = getattr(module, name)
    union = typing.get_args(union)[0] if typing.get_origin(union) is typing.Annotated else union
    found = set()
    for member in typing.get_args(union):
        found |= set(typing.get_args(member.model_fields["type"].annotation))
    return found


@pytest.mark.clients
def test_the_official_client_knows_the_same_client_events():
    ours = {kind.__struct_config__.tag for kind in CLIENT}
    assert types_in("openai.types.realtime.realtime_client_event") == ours


@pytest.mark.clients
def test_the_official_client_knows_the_same_server_events():
    ours = {kind.__struct_config__.tag for kind in SERVER}
    assert types_in("openai.types.realtime.realtime_server_event") == ours


@pytest.mark.clients
def test_the_official_client_reads_our_session_settings_field_by_field():
    """No field that it does not know, none of the retired beta."""
    from openai.types.realtime import RealtimeSessionCreateRequest

    from .plans import FULL

    fields = FULL.session_fields()
    read = RealtimeSessionCreateRequest.model_validate(fields)
    assert json.loads(read.model_dump_json(exclude_unset=True)) == fields
    known = set(RealtimeSessionCreateRequest.model_fields)
    assert set(fields) <= known
    assert not {"temperature", "modalities", "input_audio_format", "voice", "turn_detection"} & set(fields)


@pytest.mark.clients
def test_the_official_client_has_the_same_fields():
    """Of sessions, of replies that are asked for, of their audio, and of items' content."""
    from duologue_openai.response_object import ResponseConfig, ResponseObject
    from duologue_openai.session_object import AudioOutput
    from openai.types import realtime as official
    from openai.types.realtime.realtime_audio_config_input import RealtimeAudioConfigInput
    from openai.types.realtime.realtime_audio_config_output import RealtimeAudioConfigOutput
    from openai.types.realtime.realtime_response_create_params import RealtimeResponseCreateParams

    def ours(struct):
        return set(struct.__struct_fields__)

    echoed = {"id", "object", "expires_at"}
    assert ours(SessionObject) - echoed == set(official.RealtimeSessionCreateRequest.model_fields)
    assert ours(ResponseConfig) == set(RealtimeResponseCreateParams.model_fields)
    assert ours(ResponseObject) == set(official.RealtimeResponse.model_fields)
    assert ours(AudioInput) == set(RealtimeAudioConfigInput.model_fields)
    assert ours(AudioOutput) == set(RealtimeAudioConfigOutput.model_fields)
