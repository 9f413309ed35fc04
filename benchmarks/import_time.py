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


def milliseconds(statement: str) -> tuple[float, float]:
    """Time one fresh interpreter: by the clock, and the processor's part of it."""
    before = processor_seconds()
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - started) * 1000, (processor_seconds() - before) * 1000


def processor_seconds() -> float:
    """Return the processor time of all children so far; 0.0 where the system does not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, print and write."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for statement in STATEMENTS:
        milliseconds(statement)  # the first run writes byte code
    times: dict[str, list[tuple[float, float]]] = {statement: [] for statement in STATEMENTS}
    for _ in range(rounds):
        for statement in STATEMENTS:
            times[statement].append(milliseconds(statement))
    medians = {
        statement: [statistics.median(column) for column in zip(*found, strict=True)]
        for statement, found in times.items()
    }
    bare_wall, bare_cpu = medians["pass"]
    print(f"{'median ms':<26}{'clock':>8}{'beyond bare':>13}{'processor':>12}{'beyond bare':>13}")
    for statement, (wall, cpu) in medians.items():
        print(f"{statement:<26}{wall:>8.1f}{wall - bare_wall:>13.1f}{cpu:>12.1f}{cpu - bare_cpu:>13.1f}")
    result = {
        "python": platform.python_version(),
        "rounds": rounds,
        "beyond_bare_ms": {
            statement: {"clock": round(wall - bare_wall, 1), "processor": round(cpu - bare_cpu, 1)}
            for statement, (wall, cpu) in medians.items()
        },
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
