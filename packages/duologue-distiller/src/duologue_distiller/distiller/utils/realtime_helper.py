"""What the official client calls `realtime_helper`."""

from duologue_distiller.keypress import CancelOnKeypress

__all__ = ["CancelOnKeypress"]
