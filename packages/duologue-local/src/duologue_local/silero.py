"""Silero: voice activity detection by the Silero v6 model on onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue_local.stages import FRAME_SAMPLES, INPUT_RATE
from duologue_local.weights import SILERO, find

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = 64  # samples of the frame before, which the model wants in front of each frame


class SileroVAD:
    """The model; each session listens through a stream with its own recurrent state."""

    def __init__(self) -> None:
        self._session = onnx_session(find(SILERO)["silero_vad_16k_op15.onnx"])

    def stream(self) -> SileroStream:
        """Begin to listen to one session."""
        return SileroStream(self._session)


class SileroStream:
    """One session's audio."""

    def __init__(self, session: Any) -> None:
        import numpy as np

        self._session = session
        self._state = np.zeros((2, 1, 128), np.float32)
        self._window = np.zeros((1, CONTEXT + FRAME_SAMPLES), np.float32)
        self._rate = np.array(INPUT_RATE, np.int64)

    def process(self, frame: bytes) -> float:
        """Return how likely speech is in this frame."""
        import numpy as np

        self._window[0, :CONTEXT] = self._window[0, -CONTEXT:]
        self._window[0, CONTEXT:] = np.frombuffer(frame, "<i2").astype(np.float32) / 32768
        output, self._state = self._session.run(None, {"input": self._window, "state": self._state, "sr": self._rate})
        return float(output[0, 0])


def onnx_session(path: Path) -> Any:
    """Load an ONNX model for one thread that sleeps, not spins, between calls."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
