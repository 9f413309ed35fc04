"""What `import duologue` costs beyond a bare interpreter: prints a table, writes JSON into `results/`.

Each statement runs in fresh interpreters, in turns with the bare one, so that a busy machine troubles both alike.
The medians are compared. Run it as `python benchmarks/import_time.py [ROUNDS]`.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

STATEMENTS = ["pass", "import asyncio", "import duologue", "import duologue.testing", "import duologue_cli"]
RESULTS = Path(__file__).with_name("results") / "import_time.json"


def milliseconds(statement: str) -> float:
    """Time one fresh interpreter."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Measure, print and write."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for statement in STATEMENTS:
        milliseconds(statement)  # the first run writes byte code
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(rounds):
        for statement in STATEMENTS:
            times[statement].append(milliseconds(statement))
    medians = {statement: statistics.median(found) for statement, found in times.items()}
    beyond = {statement: median - medians["pass"] for statement, median in medians.items()}
    print(f"{'statement':<26}{'median ms':>10}{'beyond bare':>13}")
    for statement, median in medians.items():
        print(f"{statement:<26}{median:>10.1f}{beyond[statement]:>13.1f}")
    result = {
        "python": platform.python_version(),
        "rounds": rounds,
        "median_ms": {statement: round(median, 1) for statement, median in medians.items()},
        "beyond_bare_ms": {statement: round(more, 1) for statement, more in beyond.items()},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
