"""Names as the official client has them; see `duologue_distiller`."""

from duologue_distiller.distiller.utils import realtime_helper

__all__ = ["realtime_helper"]
