"""Loading: what takes its time before a conversation can begin, shown on one line."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duologue_cli.outputs import Output

STAGES = {"vad": "voice detection", "asr": "recognition", "llm": "language model", "tts": "voice"}


class Loading:
    """Follows the local models as they load: called with each stage that is ready."""

    def __init__(self) -> None:
        self._output: Output | None = None
        self._text = ""
        self._ready: list[str] = []

    def __call__(self, stage: str, seconds: float) -> None:
        """A stage is ready, after so many seconds."""
        self._ready.append(STAGES.get(stage, stage))
        if self._output is not None:
            self._output.progress(f"{self._text} {', '.join(self._ready)} ready,")

    @contextlib.contextmanager
    def shown(self, output: Output, text: str) -> Iterator[None]:
        """Show one line while the body takes its time."""
        began = time.monotonic()
        self._output, self._text = output, text
        output.begin(text)
        try:
            yield
        except BaseException:
            output.done("")
            raise
        finally:
            self._output = None
        output.done(f"ready in {time.monotonic() - began:.1f} s")
