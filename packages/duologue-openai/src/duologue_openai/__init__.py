"""OpenAI Realtime for Duologue: OpenAI, Azure, and any server that speaks the protocol."""

from typing import TYPE_CHECKING, Any

from duologue_openai.client_secrets import ClientSecret, create_client_secret
from duologue_openai.codec import OpenAICodec
from duologue_openai.options import OpenAIOptions
from duologue_openai.session import OpenAISession
from duologue_openai.transport import OpenAIRealtimeTransport

if TYPE_CHECKING:
    from duologue_openai.server_codec import OpenAIServerCodec

__all__ = [
    "ClientSecret",
    "OpenAICodec",
    "OpenAIOptions",
    "OpenAIRealtimeTransport",
    "OpenAIServerCodec",
    "OpenAISession",
    "create_client_secret",
]


_LATER = {"OpenAIServerCodec": "server_codec"}


def __getattr__(name: str) -> Any:
    """Load what few programs need when it is first named."""
    if name in _LATER:
        import importlib

        found = globals()[name] = getattr(importlib.import_module(f"duologue_openai.{_LATER[name]}"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
