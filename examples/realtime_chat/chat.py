"""A voice chat with all that belongs to one: no echo, meters, interruption, tools for files and for screenshots."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from duologue import DuologueError, RealtimeAgent, Tool, ToolError, get_transport, tool
from duologue.blocks import ContentBlock, ImageBlock, TextBlock
from duologue.events import Interrupted, Problem, ToolResult, ToolStarted, TranscriptDelta
from duologue_audio import DeviceGone, DeviceReopened, DuplexAudio, VoiceLoop
from pydantic import Field
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

SYSTEM = "You are a friendly voice assistant. Answer in one or two short sentences, and use your tools."
LONGEST = 4000  # characters of a file: it is going to be read out


def file_tools(folder: Path) -> list[Tool]:
    """Tools that see the files of one folder, and nothing outside of it."""
    root = folder.resolve(strict=True)

    def files() -> dict[str, Path]:
        found = {str(path.relative_to(root)): path.resolve() for path in sorted(root.rglob("*"))}
        return {name: path for name, path in found.items() if path.is_file() and path.is_relative_to(root)}

    def find(name: str) -> Path:
        if not (root / name).resolve().is_relative_to(root):
            raise ToolError(f"{name} is outside of the folder.")
        for known, path in files().items():  # nobody says "shopping dash list dot txt"
            if name == known or path.stem.replace("-", " ").casefold() in name.casefold():
                return path
        raise ToolError(f"There is no file {name}.")

    @tool
    def list_files() -> str:
        """List the files in the folder."""
        return "The files are: " + (", ".join(files()) or "none") + "."

    @tool
    def read_file(name: Annotated[str, Field(description="the name of the file, such as notes")]) -> str:
        """Read a file in the folder."""
        try:
            with find(name).open(encoding="utf-8") as file:
                return file.read(LONGEST)
        except (OSError, ValueError) as exc:
            raise ToolError(f"{name} can't be read as text.") from exc

    return [list_files, read_file]


@tool
async def take_screenshot(url: Annotated[str, Field(description="the address of the page")]) -> list[ContentBlock]:
    """Take a screenshot of a web page."""
    from playwright.async_api import Error, async_playwright

    url = url if ":" in url else f"https://{url}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise ToolError("Only pages of the web, by http or https: no files.")
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=browser_path())
            page = await browser.new_page(viewport={"width": 1024, "height": 768})
            await page.goto(url, timeout=15_000)
            picture, title = await page.screenshot(type="jpeg"), await page.title()
    except Error as exc:
        raise ToolError(f"{url} can't be shown: {exc.message.splitlines()[0]}") from exc
    return [TextBlock(f"This is {title or url}."), ImageBlock(picture, "image/jpeg")]


def browser_path() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def meter(name: str, db: float) -> Text:
    cells = round(40 * min(1.0, max(0.0, 1 + db / 60)))
    return Text.assemble(f"{name:<6}", ("█" * cells, "green"), ("·" * (40 - cells), "dim"), f" {db:4.0f} dB")


async def paint(loop: VoiceLoop, console: Console) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            stats = loop.stats
            live.update(Group(meter("you", stats.microphone_db), meter("agent", stats.speaker_db)), refresh=True)
            await asyncio.sleep(0.1)


async def tell(loop: VoiceLoop, console: Console) -> None:
    said = {"user": "", "assistant": ""}
    async for event in loop.events():
        match event:
            case TranscriptDelta(role=role, delta=words, final=final):
                said[role] += words
                if final and (text := said[role].strip()):
                    console.print(Text.assemble(("you   " if role == "user" else "agent ", "bold"), text))
                    said[role] = ""
            case Interrupted():
                last = next((message for message in reversed(loop.agent.history) if message.role == "assistant"), None)
                heard = f'heard: "{last.text}"' if last is not None and not last.heard else "before a word was heard"
                console.print(Text.assemble(("cut   ", "bold red"), heard))
            case ToolStarted(name=name, input=given):
                console.print(Text.assemble(("tool  ", "yellow"), f"{name} {given}"))
            case ToolResult(name=name, content=content, elapsed=elapsed):
                shown = content if isinstance(content, str) else ", ".join(type(block).__name__ for block in content)
                console.print(Text.assemble(("tool  ", "yellow"), f"{name} gave {shown[:200]} in {elapsed:.2f} s"))
            case Problem() | DeviceGone() | DeviceReopened():
                console.print(Text(str(event), "dim"))


async def chat(transport: str, folder: Path, aec: str | None, device: str | None, console: Console) -> None:
    tools = file_tools(folder)
    if importlib.util.find_spec("playwright") and browser_path():
        tools.append(take_screenshot)
    else:
        console.print("No screenshots: they need `pip install playwright` and chromium (`apt-get install chromium`).")
    console.print("Loading...")
    async with RealtimeAgent(SYSTEM, get_transport(transport), tools) as agent:
        audio = DuplexAudio(16_000, device=device, echo=None if aec == "off" else aec)
        loop = VoiceLoop(agent, audio, cancel_echo=aec != "off")
        async with asyncio.TaskGroup() as tasks:
            painting = tasks.create_task(paint(loop, console))
            tasks.create_task(tell(loop, console))
            console.print(f"Speak with {transport}; Ctrl-C ends it.")
            await loop.run()
            painting.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--transport", default="local", help="whom to speak with; anything but local hears you elsewhere"
    )
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "notes", help="the files it may read")
    parser.add_argument("--aec", help="webrtc or speex; off for headphones; default the best here")
    parser.add_argument("--device", help="its name, or a part of that")
    given = parser.parse_args()
    try:
        asyncio.run(chat(given.transport, given.folder, given.aec, given.device, Console()))
    except* KeyboardInterrupt:
        sys.exit(130)
    except* DuologueError as group:
        sys.exit(f"chat: {group.exceptions[0]}")
