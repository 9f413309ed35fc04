"""An offline speech-to-speech transport for Duologue: no key, no network."""
