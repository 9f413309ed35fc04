"""How reliably the local demo brain finds tool calls: prints a table, writes JSON.

Run: `uv run python benchmarks/local_tools.py [OUTPUT.json]`. The threshold of `duologue_local.routing` was chosen on
the sentences of TUNED; HELD_OUT was written afterwards and never used to choose anything.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from duologue_local import DEMO_TOOLS, ToolSpec
from duologue_local.routing import possible
from duologue_local.smollm2 import SmolLM2

Case = tuple[str, str, object]


def times(*sentences: tuple[str, str]) -> list[Case]:
    """Requests for the time in a city."""
    return [(said, "get_time", {"city": city}) for said, city in sentences]


def timers(*sentences: tuple[str, float]) -> list[Case]:
    """Requests for a timer."""
    return [(said, "set_timer", {"minutes": minutes}) for said, minutes in sentences]


def talk(*sentences: str) -> list[Case]:
    """What must not call a tool."""
    return [(said, "", None) for said in sentences]


TUNED = [
    *times(
        ("What time is it in Tokyo?", "Tokyo"),
        ("What's the time in London?", "London"),
        ("Tell me the time in New York.", "New York"),
        ("Do you know what time it is in Paris?", "Paris"),
        ("Can you tell me what time it is in Berlin right now?", "Berlin"),
        ("What is the current time in Sydney?", "Sydney"),
        ("How late is it in Madrid?", "Madrid"),
        ("Time in Cairo, please.", "Cairo"),
        ("What time do they have in Los Angeles?", "Los Angeles"),
        ("What hour is it in Moscow?", "Moscow"),
        ("And in Rome, what time is it?", "Rome"),
        ("Hey, what time is it now in San Francisco?", "San Francisco"),
        ("Could you check the time in Singapore?", "Singapore"),
        ("What's the local time in Hong Kong?", "Hong Kong"),
        ("what time is it in tokyo", "tokyo"),
    ),
    *timers(
        ("Set a timer for five minutes.", 5),
        ("Set a timer for 10 minutes.", 10),
        ("Please set a timer for twenty minutes.", 20),
        ("Start a timer for three minutes.", 3),
        ("Can you set a five minute timer?", 5),
        ("Timer for one minute, please.", 1),
        ("I need a timer for 15 minutes.", 15),
        ("Set a timer for half an hour.", 30),
        ("Could you start a two minute timer?", 2),
        ("Set a 30 minute timer for my pasta.", 30),
    ),
    *talk(
        "Tell me a story.",
        "What is the capital of France?",
        "Thank you.",
        "Hello!",
        "How are you today?",
        "Who was Albert Einstein?",
        "What is two plus two?",
        "I like Tokyo very much.",
        "How many people live in London?",
        "What is the best time to visit Paris?",
        "I had a great time yesterday.",
        "Tell me about the history of Rome.",
        "It takes five minutes to walk there.",
        "Where is Berlin?",
        "I was in London for five minutes.",
        "What is a timer?",
        "What time is it?",
        "Set a timer.",
        "I live in Berlin.",
        "Time flies.",
    ),
]

HELD_OUT = [
    *times(
        ("What time is it in Chicago?", "Chicago"),
        ("What time is it in Mumbai right now?", "Mumbai"),
        ("Please tell me what time it is in Toronto.", "Toronto"),
        ("Can you give me the time in Dubai?", "Dubai"),
        ("I'd like to know the time in Vienna.", "Vienna"),
        ("Do you have the time in Istanbul?", "Istanbul"),
        ("What's the time now in Buenos Aires?", "Buenos Aires"),
        ("So what time is it over in Seoul?", "Seoul"),
        ("what is the time in Lisbon", "Lisbon"),
        ("Give me the current time in Nairobi.", "Nairobi"),
        ("What time is it at the moment in Oslo?", "Oslo"),
        ("Could you tell me the time in Mexico City, please?", "Mexico City"),
    ),
    *timers(
        ("Set a timer for seven minutes.", 7),
        ("Set the timer to 12 minutes, please.", 12),
        ("Give me a timer of four minutes.", 4),
        ("Could you set a timer for an hour?", 60),
        ("Please start a 45 minute timer.", 45),
        ("I want a timer for twenty-five minutes.", 25),
        ("Set a timer for 90 seconds.", 1.5),
        ("Remind me with a timer in eight minutes.", 8),
    ),
    *talk(
        "Tell me a joke.",
        "Good morning.",
        "What can you do for me?",
        "Who wrote Hamlet?",
        "I was born in Chicago in 1985.",
        "What is the population of Mumbai?",
        "How do I get to Vienna by train?",
        "My flight to Dubai takes six hours.",
        "What language do they speak in Istanbul?",
        "Do you have time for a chat?",
        "Once upon a time there was a king.",
        "What is the weather like in Oslo?",
        "I waited twenty minutes for the bus.",
        "How many minutes are there in an hour?",
        "Who is the mayor of New York?",
        "Is Toronto bigger than Montreal?",
        "That took a long time.",
        "Set the table for four people.",
        "Stop.",
        "Please repeat that.",
        "What is the tallest building in the world?",
        "I cook my eggs for six minutes.",
        "Recommend a good restaurant in Lisbon.",
        "What is time?",
    ),
]


def main() -> None:
    """Measure and report."""
    brain = SmolLM2()
    tools = tuple(ToolSpec(tool.name, tool.description, tool.input_schema) for tool in DEMO_TOOLS)
    router = brain._router
    began = time.perf_counter()
    router.prepare(tools)
    report: dict[str, object] = {"prepare_s": round(time.perf_counter() - began, 2)}
    for name, cases in (("tuned", TUNED), ("held out", HELD_OUT)):
        right = {"get_time": 0, "set_timer": 0, "": 0}
        asked = dict.fromkeys(right, 0)
        tool_ms: list[float] = []
        talk_ms: list[float] = []
        for said, wanted, arguments in cases:
            began = time.perf_counter()
            call = router.route(said, tools)
            (tool_ms if wanted else talk_ms).append((time.perf_counter() - began) * 1000)
            good = (call is None and not wanted) or (
                call is not None and call.name == wanted and dict(call.arguments) == arguments
            )
            asked[wanted] += 1
            right[wanted] += good
            if not good:
                scores = {t.name: round(router.score(said, t), 2) for t in tools if possible(t, said)}
                print(f"  wrong: {said!r} -> {call} {scores}")
        rows = {label or "no tool": f"{right[label]}/{asked[label]}" for label in right}
        speeds = {"tool_ms": round(statistics.median(tool_ms)), "talk_ms": round(statistics.median(talk_ms))}
        print(f"{name:9} {rows} median ms: {speeds}")
        report[name] = {**rows, **speeds}
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
