"""rtmixer's callback in Python, for tests of what drives it: actions, rings, counts, as its C does it."""

import numpy as np

PLAY_RINGBUFFER, RECORD_RINGBUFFER, CANCEL, FETCH_AND_RESET_STATS = "play", "record", "cancel", "fetch"
ULONG_MAX = 2**64 - 1


class RingBuffer:
    """A ring of float32 frames; reading is by the other side."""

    def __init__(self, elementsize, size):
        self.elementsize = elementsize
        self.size = size
        self.data = np.zeros((0, elementsize // 4), np.float32)

    @property
    def _ptr(self):
        return self

    @property
    def read_available(self):
        return len(self.data)

    @property
    def write_available(self):
        return self.size - len(self.data)

    def write(self, data, count):
        assert count <= self.write_available
        frames = np.frombuffer(data, np.float32).reshape(count, -1)
        self.data = np.concatenate((self.data, frames))
        return count

    def read(self, count):
        taken, self.data = self.data[:count], self.data[count:]
        return taken.astype(np.float32).tobytes()

    def flush(self):
        self.data = self.data[:0]


class Stats:
    blocks = input_overflows = output_underflows = 0


class Action:
    def __init__(self, fields):
        self.next = None
        self.done_frames = 0
        self.stats = Stats()
        self.__dict__.update(fields)


class _ffi:
    @staticmethod
    def new(kind, fields):
        assert kind == "struct action*"
        return Action(fields)


class Mixer:
    """A device: `block(near)` is one call of the callback and returns what was played."""

    latency = (0.02, 0.03)

    def __init__(self, block, channels=1):
        self.size = block
        self.channels = channels
        self.time = 0.0
        self._actions = {}
        self._queue = []
        self._done = []
        self._list = []
        self._stats = Stats()

    @property
    def actions(self):
        for action in self._done:
            del self._actions[action]
        self._done.clear()
        return self._actions.keys()

    def _enqueue(self, action, keep=None):
        self._actions[action] = keep
        self._queue.append(action)

    def cancel(self, action):
        cancel = Action({"type": CANCEL, "action": action})
        self._enqueue(cancel)
        return cancel

    def fetch_and_reset_stats(self):
        fetch = Action({"type": FETCH_AND_RESET_STATS})
        self._enqueue(fetch)
        return fetch

    def block(self, near, *, overflow=False, underflow=False):
        out = np.zeros((self.size, self.channels), np.float32)
        self._stats.blocks += 1
        self._stats.input_overflows += overflow
        self._stats.output_underflows += underflow
        for action in self._queue:
            while action is not None:
                following, action.next = action.next, None
                self._list.insert(0, action) if action.type == CANCEL else self._list.append(action)
                action = following
        self._queue = []
        for action in list(self._list):
            if self._carry_out(action, near, out):
                self._list.remove(action)
                self._done.append(action)
        return out

    def _carry_out(self, action, near, out):
        """Do an action's part of a block; return whether it is over."""
        if action.type == CANCEL:
            action.action.total_frames = action.action.done_frames
            return True
        if action.type == FETCH_AND_RESET_STATS:
            action.stats, self._stats = self._stats, Stats()
            return True
        if action.total_frames == action.done_frames:
            return True
        if not action.done_frames:
            action.actual_time = self.time
        if action.type == PLAY_RINGBUFFER:
            data = action.ringbuffer.data[: self.size]
            out[: len(data)] = data
            action.ringbuffer.data = action.ringbuffer.data[len(data) :]
            action.done_frames += len(data)
            return len(data) < self.size
        fits = min(self.size, action.ringbuffer.write_available)
        action.ringbuffer.data = np.concatenate((action.ringbuffer.data, near[:fits].astype(np.float32)))
        action.done_frames += fits
        return fits < self.size
