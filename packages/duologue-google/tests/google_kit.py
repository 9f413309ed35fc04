"""What the tests of this package share: a server, and transports that reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue.testing import WireServer
from duologue_google import GeminiLiveTransport, GeminiServerCodec, VertexLiveTransport

if TYPE_CHECKING:
    from duologue.testing.wire_server import Brain

MODEL_31 = "gemini-3.1-flash-live-preview"
MODEL_25 = "gemini-2.5-flash-native-audio-latest"
MODEL_38 = "gemini-3.8-live"


def serve(brain: Brain, **options: Any) -> WireServer:
    """A server that speaks Gemini, over TLS unless told otherwise."""
    return WireServer(GeminiServerCodec, brain, **{"tls": True, **options})


def developer(server: WireServer, **options: Any) -> GeminiLiveTransport:
    """A transport of the Developer API that reaches the server."""
    return GeminiLiveTransport(**{"api_key": "key-of-a-test", "base_url": server.url, "ssl": server.ssl, **options})


def vertex(server: WireServer, **options: Any) -> VertexLiveTransport:
    """A transport of Vertex AI that reaches the server."""
    given = {"project": "a-project", "location": "us-central1", "credentials": lambda: "token-of-a-test"}
    return VertexLiveTransport(**{**given, "base_url": server.url, "ssl": server.ssl, **options})
