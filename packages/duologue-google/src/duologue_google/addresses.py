"""Addresses: where Google's APIs are, and what the environment says about reaching them."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from duologue.errors import ConfigurationError

DEVELOPER = "https://generativelanguage.googleapis.com"
TOKEN_PREFIX = "auth_tokens/"  # noqa: S105 - how ephemeral tokens begin
DEFAULT_VERSION = "v1beta"
TOKEN_VERSION = "v1alpha"  # noqa: S105 - the only version that takes ephemeral tokens
VERTEX_VERSION = "v1beta1"

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def vertex_host(location: str) -> str:
    """Return the address of Vertex AI in a location: a region, `us`, `eu` or `global`."""
    if location in ("", "global"):
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    if not location.replace("-", "").isalnum():
        raise ConfigurationError(f"{location!r} is no location of Google Cloud, such as us-central1")
    return f"https://{location}-aiplatform.googleapis.com"


def developer_path(version: str, *, constrained: bool = False) -> str:
    """Return the path of a session on the Developer API."""
    method = "BidiGenerateContentConstrained" if constrained else "BidiGenerateContent"
    return f"/ws/google.ai.generativelanguage.{version}.GenerativeService.{method}"


def vertex_path(version: str) -> str:
    """Return the path of a session on Vertex AI."""
    return f"/ws/google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent"


def socket_url(base: str, path: str) -> str:
    """Return a WebSocket URL below a base URL, whose own path is kept as a prefix.

    Raises:
        ConfigurationError: the base is no URL.
    """
    return _join(base, path, _SCHEMES)


def http_url(base: str, path: str) -> str:
    """Return an HTTP URL below a base URL.

    Raises:
        ConfigurationError: the base is no URL.
    """
    return _join(base, path, {"ws": "http", "wss": "https", "http": "http", "https": "https"})


def _join(base: str, path: str, schemes: dict[str, str]) -> str:
    parts = urlsplit(base)
    if parts.scheme not in schemes or not parts.netloc:
        raise ConfigurationError(f"base_url {base!r} is no URL such as https://host or wss://host:port")
    return f"{schemes[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}{path}"


def from_environment(*names: str) -> str | None:
    """Return the first of these variables that is set to something."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


def prefers_vertex() -> bool | None:
    """What GOOGLE_GENAI_USE_VERTEXAI says; None where it says nothing."""
    value = from_environment("GOOGLE_GENAI_USE_VERTEXAI")
    return None if value is None else value.lower() in ("1", "true", "yes", "on")
