"""Draw what stands on a terminal as SVG.

    tmux capture-pane -p -e -N > talk.ansi
    python scripts/draw_terminal.py talk.ansi talk.svg

The pictures of `duologue chat` in the documentation are made so, from conversations on the rig: the test of five
minutes at the terminal (tests/audio/test_terminal.py) leaves them in its folder.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

TITLE = "duologue chat"


def draw(captured: str, title: str = TITLE) -> str:
    """Return the picture. It loads nothing from elsewhere: the fonts are the reader's own."""
    lines = [Text.from_ansi(line) for line in captured.rstrip("\n").split("\n")]
    console = Console(
        record=True, width=max(line.cell_len for line in lines), file=io.StringIO(), force_terminal=True,
        color_system="truecolor", legacy_windows=False,
    )  # fmt: skip
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop")
    picture = console.export_svg(title=title, unique_id="terminal")
    return re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    """Read a capture, write the picture."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} ANSI SVG")
    captured, picture = map(Path, sys.argv[1:])
    picture.write_text(draw(captured.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
