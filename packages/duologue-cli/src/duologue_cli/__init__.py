"""The duologue command."""

from duologue_cli.main import main

__all__ = ["main"]
