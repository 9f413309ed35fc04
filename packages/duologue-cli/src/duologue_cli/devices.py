"""`duologue devices`: what there is to speak into and to listen to."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from duologue_audio import list_devices

from duologue_cli.jsonlines import json_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue_audio import Device

HEADINGS = ("index", "in", "out", "rate", "default", "name")
NONE = "There is no audio device: plug one in, or start the sound server (PulseAudio or PipeWire)."


def show_devices(*, json: bool) -> int:
    """Print every device, as a table or as JSON lines; return the exit code.

    Raises:
        DeviceUnavailable: PortAudio is missing.
    """
    devices = list_devices()
    if not devices:
        print(NONE, file=sys.stderr)
    lines = [json_line(dataclasses.asdict(device)) for device in devices] if json else _table(devices)
    for line in lines:
        print(line)
    return 0


def _table(devices: Iterable[Device]) -> list[str]:
    rows = [_row(device) for device in devices]
    if not rows:
        return []
    widths = [max(len(row[column]) for row in (HEADINGS, *rows)) for column in range(len(HEADINGS))]
    numbers = 4  # the columns that are numbers stand at the right
    return [
        "  ".join(
            cell.rjust(width) if column < numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (HEADINGS, *rows)
    ]


def _row(device: Device) -> tuple[str, ...]:
    marks = [name for name, is_default in (("in", device.default_input), ("out", device.default_output)) if is_default]
    name = f"{device.name} ({device.host})" if device.host else device.name
    return str(device.index), str(device.inputs), str(device.outputs), str(device.rate), " ".join(marks), name
