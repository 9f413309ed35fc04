"""Toy: a complete small provider protocol, both halves of it, to learn from and to test with."""

from duologue.testing.toy.client import ToyCodec
from duologue.testing.toy.server import ToyServerCodec
from duologue.testing.toy.transport import ToyTransport

__all__ = ["ToyCodec", "ToyServerCodec", "ToyTransport"]
