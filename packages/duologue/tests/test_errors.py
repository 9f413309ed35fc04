from __future__ import annotations

import copy
import pickle

import pytest
from duologue import errors
from duologue.errors import (
    AudioError,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    DeviceLost,
    DeviceUnavailable,
    DuologueError,
    InvalidArguments,
    LinkError,
    LocalProtocolError,
    MissingExtra,
    ProtocolError,
    RateLimited,
    RemoteProtocolError,
    ResumeFailed,
    SessionClosed,
    ToolError,
    ToolRejected,
    ToolTimeout,
    UnsupportedFormat,
)

PARENTS: dict[type[DuologueError], tuple[type[BaseException], ...]] = {
    DuologueError: (Exception,),
    ConfigurationError: (DuologueError,),
    MissingExtra: (ConfigurationError,),
    LinkError: (DuologueError,),
    ConnectFailed: (LinkError,),
    ConnectionLost: (LinkError,),
    ResumeFailed: (LinkError,),
    RateLimited: (LinkError,),
    ProtocolError: (DuologueError,),
    LocalProtocolError: (ProtocolError, RuntimeError),
    RemoteProtocolError: (ProtocolError,),
    SessionClosed: (DuologueError, RuntimeError),
    ToolError: (DuologueError,),
    InvalidArguments: (ToolError,),
    ToolTimeout: (ToolError,),
    ToolRejected: (ToolError,),
    AudioError: (DuologueError,),
    DeviceUnavailable: (AudioError,),
    DeviceLost: (AudioError,),
    UnsupportedFormat: (AudioError,),
}


def test_the_tree_is_the_documented_one() -> None:
    defined = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, BaseException)}
    assert defined == set(PARENTS)
    for kind, parents in PARENTS.items():
        assert kind.__bases__ == parents
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", [k for k in PARENTS if k is not MissingExtra])
def test_only_errors_of_the_link_are_worth_a_second_try(kind: type[DuologueError]) -> None:
    assert kind("x").retryable is issubclass(kind, LinkError)


@pytest.mark.parametrize("kind", [k for k in PARENTS if not issubclass(k, MissingExtra | InvalidArguments)])
def test_an_error_carries_its_message_and_where_it_is_from(kind: type[DuologueError]) -> None:
    plain = kind("what happened")
    assert (str(plain), plain.provider, plain.code) == ("what happened", None, None)
    full = kind("what happened", retryable=not kind.retryable, provider="acme", code="4008")
    assert (full.retryable, full.provider, full.code) == (not kind.retryable, "acme", "4008")
    assert kind("x").retryable is kind.retryable, "one instance changed the class"
    assert str(kind()) == ""


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    error = MissingExtra("duologue-audio", needed_for="the microphone")
    assert str(error) == "the microphone needs the package duologue-audio: run `pip install duologue-audio`"
    assert error.package == "duologue-audio"
    assert str(MissingExtra("x", install="apt install x")) == "this needs the package x: run `apt install x`"
    assert error.retryable is False


def test_invalid_arguments_name_the_call() -> None:
    error = InvalidArguments("no city", tool_use_id="c1", name="weather")
    assert (str(error), error.tool_use_id, error.name) == ("no city", "c1", "weather")
    assert (InvalidArguments().tool_use_id, InvalidArguments().name) == ("", "")
    assert (error.retryable, error.provider, error.code) == (False, None, None)


@pytest.mark.parametrize(
    "error",
    [
        MissingExtra("duologue-audio", needed_for="the microphone"),
        InvalidArguments("no city", tool_use_id="c1", name="weather"),
        ConnectFailed("no route", retryable=False, provider="acme", code="7"),
    ],
)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_errors_cross_a_process_boundary_unchanged(error: DuologueError, protocol: int) -> None:
    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
