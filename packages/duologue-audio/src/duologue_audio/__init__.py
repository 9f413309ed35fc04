"""Microphone, speaker and echo cancellation: one stream, one clock."""

__all__: list[str] = []
