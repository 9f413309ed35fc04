"""The duologue command."""

from duologue_cli.command import main

__all__ = ["main"]
