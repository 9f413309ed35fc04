"""Names as the official client has them; see `duologue_distiller`."""
