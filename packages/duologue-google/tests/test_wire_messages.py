"""Typed messages survive the wire exactly, in either spelling; damaged ones cost what is damaged and no more."""

import base64
import copy
import json
import re
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from duologue.events import AudioOutputDelta, Problem
from duologue.wire import SendContent
from duologue_google import GeminiCodec, GeminiServerCodec, SessionPlan
from duologue_google.client_messages import ClientMessage
from duologue_google.reading import from_base64, read, read_object
from duologue_google.server_messages import ServerMessage
from hypothesis import given
from hypothesis import strategies as st

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FREE = st.dictionaries(
    st.sampled_from(["snake_case", "camelCase", "city"]), st.text(max_size=5) | st.booleans(), max_size=2
)
TRANSCRIPT = Path(__file__).parents[2] / "duologue" / "tests" / "wire" / "gemini.jsonl"


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([values(argument) for argument in arguments if argument is not type(None)])
    if origin is list:
        return st.lists(values(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2) if arguments[1] is str else FREE
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return messages(hint)
    plain = {str: st.text(max_size=6), bool: st.booleans(), int: st.integers(-(2**31), 2**31), bytes: st.binary()}
    return plain.get(hint, st.floats(allow_nan=False, allow_infinity=False))


def messages(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Messages of a kind, with any of their fields."""
    fields = {
        name: st.none() | st.deferred(lambda hint=hint: values(hint)) for name, hint in get_type_hints(kind).items()
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: kind(**given))


def respelled(node: Any, kind: Any, flip: Any, url_safe: bool) -> Any:
    """JSON of a message with some keys in snake_case and base64 of either alphabet, as another client writes it."""
    if isinstance(node, list):
        return [respelled(entry, kind, flip, url_safe) for entry in node]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
        hints = get_type_hints(kind)
        return {
            (names[key] if flip() else key): respelled(value, inner(hints[names[key]]), flip, url_safe)
            for key, value in node.items()
        }
    if kind is bytes:
        return node.replace("+", "-").replace("/", "_") if url_safe else node
    return node


def inner(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        hint = next(argument for argument in get_args(hint) if argument is not type(None))
    return get_args(hint)[0] if get_origin(hint) is list else hint


@pytest.mark.parametrize("kind", [ServerMessage, ClientMessage])
@given(data=st.data())
def test_a_typed_message_comes_back_exactly_in_any_spelling(kind: type[Any], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    encoded = msgspec.json.encode(message)
    assert read(encoded, kind).message == message
    assert msgspec.json.decode(encoded, type=kind) == message
    tree = msgspec.json.decode(encoded)
    other = respelled(tree, kind, lambda: data.draw(st.booleans()), data.draw(st.booleans()))
    reading = read(json.dumps(other), kind)
    assert reading.message == message
    assert (reading.unknown, reading.faults) == ([], [])


def test_keys_of_free_maps_are_not_respelled() -> None:
    frame = {"tool_call": {"function_calls": [{"name": "f", "args": {"snake_case": {"deep_key": 1}, "camelCase": 2}}]}}
    call = read(json.dumps(frame), ServerMessage).message.tool_call.function_calls[0]
    assert call.args == {"snake_case": {"deep_key": 1}, "camelCase": 2}
    schema = {"type": "OBJECT", "properties": {"function_call": {"type": "STRING"}}}
    setup = {"setup": {"tools": [{"function_declarations": [{"name": "f", "parameters": schema}]}]}}
    declared = read(json.dumps(setup), ClientMessage).message.setup.tools[0].function_declarations[0]
    assert declared.parameters == schema


@given(st.binary(max_size=40), st.booleans(), st.booleans())
def test_base64_of_both_alphabets_is_read_with_and_without_padding(data: bytes, url: bool, padded: bool) -> None:
    text = (base64.urlsafe_b64encode(data) if url else base64.b64encode(data)).decode()
    assert from_base64(text if padded else text.rstrip("=")) == data


@pytest.mark.parametrize("text", ["?", "AAA=A", "ä", "A", "AA==AA=="])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - binascii's own, whatever it says
        from_base64(text)


def test_a_fault_costs_what_it_is_in_and_is_named() -> None:
    frame = {
        "serverContent": {"inputTranscription": {"text": 7, "finished": True}, "turnComplete": "yes"},
        "goAway": ["x"],
        "toolCall": {"functionCalls": [3, {"name": "f"}]},
        "new": 1,
    }
    reading = read_object(frame, ServerMessage)
    assert reading.message.server_content.input_transcription.finished is True
    assert [call.name for call in reading.message.tool_call.function_calls] == ["f"]
    assert reading.unknown == [(("new",), 1)]
    assert [re.search("'(.+?)'", fault)[1] for fault in reading.faults] == [
        "serverContent.inputTranscription.text",
        "serverContent.turnComplete",
        "goAway",
        "toolCall.functionCalls",
    ]


@pytest.mark.parametrize(
    "frame", ["", "{", "[]", "null", '"x"', b"\xff\xfe", "[" * 200_000, '{"a":' * 100_000, '{"serverContent":1e999}']
)
def test_what_is_no_message_at_all_is_a_problem(frame: Any) -> None:
    (event,) = GeminiCodec(SessionPlan(setup={})).decode(frame)
    assert isinstance(event, Problem)
    codec = GeminiServerCodec()
    assert codec.decode(frame) == []
    assert codec.refusal is not None


SAMPLES = [
    {"setup": {"model": "m", "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}]}},
    {"realtime_input": {"audio": {"data": "_9g=", "mime_type": "audio/pcm;rate=16000"}}},
    {"realtimeInput": {"audio": {"data": "/9g=", "mimeType": "audio/pcm"}}},
    {"realtimeInput": {"activityStart": {}, "text": "x", "audioStreamEnd": True}},
    {"client_content": {"turns": [{"role": "user", "parts": [{"text": "a"}]}], "turnComplete": True}},
    {"toolResponse": {"functionResponses": [{"id": "1", "name": "f", "response": {"output": "x"}}]}},
    {"contextUpdate": {"systemInstruction": {"parts": [{"text": "x"}]}, "tools": {"tools": []}}},
]


def paths(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            found += paths(value, (*here, key))
    return found


def damage(data: st.DataObject, frame: Any) -> Any:
    frame = copy.deepcopy(frame)
    *way, last = data.draw(st.sampled_from(paths(frame)))
    node = frame
    for key in way:
        node = node[key]
    node[last] = data.draw(JUNK)
    return frame


@given(data=st.data())
def test_a_damaged_frame_of_the_server_never_raises_and_the_session_goes_on(data: st.DataObject) -> None:
    lines = [json.loads(line) for line in TRANSCRIPT.read_text(encoding="utf-8").splitlines()[1:]]
    frames = [line["frame"] for line in lines if line["dir"] == "in"]
    codec = GeminiCodec(SessionPlan(setup={}))
    codec.decode(json.dumps(frames[0]))
    for _ in range(3):
        frame = json.dumps(damage(data, data.draw(st.sampled_from(frames))))
        codec.decode(data.draw(st.sampled_from([frame, frame.encode()])))
    speech = {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "AAAA/w=="}}]}}
    assert codec.decode(json.dumps({"serverContent": speech})) == [AudioOutputDelta(b"\0\0\0\xff")]


@given(data=st.data())
def test_a_damaged_frame_of_the_client_never_raises_and_the_session_goes_on(data: st.DataObject) -> None:
    codec = GeminiServerCodec()
    codec.decode(json.dumps(SAMPLES[0]))
    for _ in range(3):
        codec.decode(json.dumps(damage(data, data.draw(st.sampled_from(SAMPLES)))))
    (heard,) = codec.decode(json.dumps(SAMPLES[1]))
    assert isinstance(heard, SendContent)


@given(frame=st.dictionaries(st.text(max_size=12), JUNK, max_size=4))
def test_any_object_is_survived(frame: dict[str, Any]) -> None:
    GeminiCodec(SessionPlan(setup={})).decode(json.dumps(frame))
    GeminiServerCodec().decode(json.dumps(frame))
