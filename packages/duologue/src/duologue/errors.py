"""Everything Duologue raises, in one tree.

```
DuologueError              base; .retryable, .provider, .code
├ ConfigurationError       wrong arguments, a missing key
│ └ MissingExtra           a package that has to be installed first
├ LinkError                the connection
│ ├ ConnectFailed ├ ConnectionLost ├ ResumeFailed └ RateLimited
├ ProtocolError
│ ├ LocalProtocolError     we were used in the wrong order (also a RuntimeError)
│ └ RemoteProtocolError    the peer sent something that makes no sense
├ SessionClosed            the session has ended (also a RuntimeError)
├ ToolError
│ ├ InvalidArguments       the model's arguments do not fit; told to the model, the tool is not run
│ ├ ToolTimeout └ ToolRejected
└ AudioError
  ├ DeviceUnavailable ├ DeviceLost └ UnsupportedFormat
```
"""

from __future__ import annotations

import copyreg
from typing import Any


class DuologueError(Exception):
    """Base of every error Duologue raises.

    Attributes:
        retryable: trying the same again later may work.
        provider: the provider concerned, if any.
        code: the provider's or our own short code, if any.
    """

    retryable: bool = False

    def __init__(
        self, message: str = "", *, retryable: bool | None = None, provider: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable
        self.provider = provider
        self.code = code


class ConfigurationError(DuologueError):
    """An argument, an environment variable or an installation is wrong; the message says how to mend it."""


class MissingExtra(ConfigurationError):
    """A package that this needs is not installed."""

    def __init__(self, package: str, *, needed_for: str = "this", install: str | None = None) -> None:
        super().__init__(f"{needed_for} needs the package {package}: run `{install or f'pip install {package}'}`")
        self.package = package

    def __reduce__(self) -> tuple[Any, ...]:
        # `args` holds the whole message, which the constructor would wrap once more; workers send errors pickled
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class LinkError(DuologueError):
    """The connection to the provider."""

    retryable = True


class ConnectFailed(LinkError):
    """No session could be opened."""


class ConnectionLost(LinkError):
    """An open session broke off."""


class ResumeFailed(LinkError):
    """The provider did not take the old session up again."""


class RateLimited(LinkError):
    """The provider asks for patience."""


class ProtocolError(DuologueError):
    """A rule of the protocol was broken."""


class LocalProtocolError(ProtocolError, RuntimeError):
    """A call came in the wrong order, such as `send` before `connect`."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that makes no sense."""


class SessionClosed(DuologueError, RuntimeError):
    """The session has ended; open a new one."""


class ToolError(DuologueError):
    """A tool call went wrong. Raised in a handler, its message is what the model is told."""


class InvalidArguments(ToolError):
    """The model's arguments do not parse or do not fit the schema; the handler was not run.

    Attributes:
        tool_use_id: the call concerned, "" where unknown.
        name: the tool's name.
    """

    def __init__(self, message: str = "", *, tool_use_id: str = "", name: str = "") -> None:
        super().__init__(message)
        self.tool_use_id = tool_use_id
        self.name = name


class ToolTimeout(ToolError):
    """A handler ran past its deadline."""


class ToolRejected(ToolError):
    """A call was refused before it ran."""


class AudioError(DuologueError):
    """Audio devices and formats."""


class DeviceUnavailable(AudioError):
    """No such device, or no audio system at all."""


class DeviceLost(AudioError):
    """A device vanished while it was in use."""


class UnsupportedFormat(AudioError):
    """An audio format that can't be handled here."""
