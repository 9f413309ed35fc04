"""Both transports keep the contract, over TLS, on every family of models that behaves differently."""

from __future__ import annotations

import struct
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest
from duologue import Tool
from duologue.testing import StandIn, TransportContract

from .google_kit import MODEL_25, MODEL_31, MODEL_38, developer, serve, vertex

LOUD = b"".join(struct.pack("<h", 9000 if (n // 20) % 2 else -9000) for n in range(16000 // 2))


class _Contract(TransportContract):
    prompt = "Say hello."
    long_prompt = "story 60"
    tool_prompt = 'call add {"a": 2, "b": 3}'
    spoken = LOUD + bytes(16000)
    patience = 10.0
    make: ClassVar[Any]
    model: ClassVar[str]

    def transport(self) -> Any:
        return _Reached(self.make, self.model)

    def tools(self) -> list[Tool]:
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        return [Tool("add", add)]


class _Reached:
    """A transport whose server lives as long as its test."""
