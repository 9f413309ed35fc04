"""A voice loop for minutes on the rig: does the agent interrupt itself, and is the user heard who cuts in?

    python scripts/soak.py          # talker and, as a stress test, leak: webrtc and speex, 5 minutes and 10 cuts each
    python scripts/soak.py --minutes 1 --cuts 3 --echo webrtc --setup leak

The agent recites a text without end with the local voice; the user is the same voice, a tone higher, played into the
rig. All is measured on a recording of the loudspeaker. Prints a table and writes benchmarks/results/soak.json.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = (
    "set-up",
    "canceller",
    "spoke",
    "self-int.",
    "cut in",
    "silence ms",
    "heard_ms off",
    "words off",
    "underruns",
)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="a voice loop for minutes, on the rig")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the agent speaks undisturbed")
    parser.add_argument("--cuts", type=int, default=10, help="how often the user cuts in after that")
    parser.add_argument("--setup", action="append", help="of the rig; repeatable; default talker and leak")
    parser.add_argument("--echo", action="append", help="a canceller, or off; repeatable; default webrtc and speex")
    parser.add_argument("--user-gain", type=float, default=0.7, help="of the user's voice; at 1 as loud as the agent's")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "soak.json")
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
    rig_script: Any = importlib.import_module("audio_rig")
    reports: list[dict[str, Any]] = []
    print(line(None))
    with tempfile.TemporaryDirectory(prefix="duologue-rig-") as folder:
        rig = rig_script.Rig(Path(folder) / "rig")
        try:
            for setup in arguments.setup or ["talker", "leak"]:
                for echo in arguments.echo or ["webrtc", "speex"]:
                    rig.start(setup)
                    os.environ.update(rig.environment)
                    reports.append(measure(setup, echo, arguments))
                    print(line(reports[-1]), flush=True)
                    save(reports, arguments.json)
        except rig_script.RigError as error:
            print(f"soak: {error}", file=sys.stderr)
            return 2
        finally:
            rig.stop()
    return 0


def save(reports: list[dict[str, Any]], path: Path) -> None:
    """Write what there is so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(reports, indent=1) + "\n")


def measure(setup: str, echo: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Hold one conversation; return what came of it, and how busy the machine was."""
    # The environment must name the rig before PortAudio loads.
    conversation: Any = importlib.import_module("tests.audio.conversation")
    reciter: Any = importlib.import_module("tests.audio.reciter")
    phrases = [reciter.user_voice()[n % len(reciter.PHRASES)] for n in range(arguments.cuts)]
    before = os.getloadavg()
    report: dict[str, Any] = asyncio.run(
        conversation.converse(
            setup, echo, seconds=60 * arguments.minutes, phrases=phrases, user_gain=arguments.user_gain
        )
    ).as_json()
    return {**report, "load": {"before": before, "after": os.getloadavg(), "processors": os.cpu_count()}}


def line(report: dict[str, Any] | None) -> str:
    """One line of the table; None is its head."""
    cells: tuple[str, ...] = COLUMNS
    if report is not None:
        cuts = report["injections"]
        detected = [one for one in cuts if one["detected_at"] is not None]
        silence = [one["cut"]["silence_ms"] for one in detected if one["cut"]]
        cells = (
            report["setup"],
            report["echo"],
            f"{report['seconds']:.0f} s",
            str(report["self_interruptions"]),
            f"{len(detected)}/{len(cuts)}",
            f"{statistics.median(silence):.0f} (max {max(silence):.0f})" if silence else "-",
            span([one["off_ms"] for one in detected if one["off_ms"] is not None]),
            span([one["words_off"] for one in detected if one["words_off"] is not None]),
            str(report["stats"]["output_underruns"]),
        )
    return "  ".join(cell.ljust(max(len(name), 16)) for cell, name in zip(cells, COLUMNS, strict=True)).rstrip()


def span(found: list[float]) -> str:
    """From the least to the most."""
    return f"{min(found):+.0f} to {max(found):+.0f}" if found else "-"


if __name__ == "__main__":
    sys.exit(main())
