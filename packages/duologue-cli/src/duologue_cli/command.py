"""The `duologue` command."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import Annotated

import typer
from duologue.errors import ConfigurationError, DeviceUnavailable, DuologueError

from duologue_cli.arguments import ChatArguments, OrderedCommand

DONE, FAILED, WRONG_USAGE = 0, 1, 2
USAGE_ERRORS: type[Exception] = typer.BadParameter.__mro__[1]  # the parser's own base class has no public name

app = typer.Typer(
    name="duologue",
    help="Voice agents you can talk to, and interrupt.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"duologue {version('duologue-cli')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Voice agents you can talk to, and interrupt."""


@app.command(cls=OrderedCommand)
def chat(
    ctx: typer.Context,
    transport: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to talk to; default $DUOLOGUE_TRANSPORT, else the offline `local`."),
    ] = None,
    say: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="A turn, spoken by the local voice; repeatable."),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="WAV", help="A turn from a file, any rate and channels; repeatable."),
    ] = None,
    text: Annotated[
        bool,
        typer.Option("--text", help="Type the --say turns, or else the lines of standard input."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="WAV", help="Record in stereo: the user left, what was heard of the agent right."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, a summary last.")] = False,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="What the model is told to be.")] = None,
    voice: Annotated[str | None, typer.Option(metavar="NAME", help="The agent's voice.")] = None,
    tools: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="A function, a Tool or a list of them; repeatable; default the demo tools of `local`.",
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The server to use, for transports that have one.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Capture what goes over the network, for `duologue replay`; keys hidden."),
    ] = None,
    barge_in: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Begin each next turn this long after a reply began to sound, instead of waiting for its end.",
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Microphone and speaker, by number or part of the name; given twice, first the one, then the other.",
        ),
    ] = None,
    aec: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Echo cancellation: `webrtc`, `speex`, `off` for headphones; default the best here."
        ),
    ] = None,
    no_tui: Annotated[
        bool, typer.Option("--no-tui", help="Print lines instead of taking the whole terminal for a live conversation.")
    ] = False,
) -> int:
    """Hold a conversation, with microphone and speaker unless turns are given.

    Each --say, --input or typed line is a turn of the user, taken in the order given. Speech is played to
    the model in real time; the next turn begins when the reply has been played, or cuts in (--barge-in).

    Ctrl-C ends the conversation in order, a second Ctrl-C at once. Exit codes: 0 done, 1 the conversation
    failed or nothing was answered, 2 wrong usage or configuration, 130 ended by Ctrl-C, 143 by SIGTERM.
    """
    from duologue_cli.run import run_chat  # numpy and the session load for a conversation only, not for --help

    return run_chat(
        ChatArguments(
            transport=transport or os.environ.get("DUOLOGUE_TRANSPORT") or "local",
            say=tuple(say or ()),
            inputs=tuple(inputs or ()),
            turn_order=tuple(name for name in ctx.meta["order"] if name in ("say", "inputs")),
            text=text,
            output=output,
            json=json,
            system=system,
            voice=voice,
            tools=tuple(tools or ()),
            base_url=base_url,
            record=record,
            barge_in=barge_in,
            devices=tuple(device or ()),
            aec=aec,
            no_tui=no_tui,
        )
    )


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A capture, of `duologue chat --record` or `capture=`.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, a summary last.")] = False,
    original_time: Annotated[
        bool, typer.Option("--original-time", help="Take as long as the conversation took, instead of no time.")
    ] = False,
) -> int:
    """Show a captured conversation again: the same frames through the same codec and rules, on a clock of its own."""
    from duologue_cli.replay import show_replay  # the wire layer loads for this, not for --help

    return show_replay(file, json=json, original_time=original_time)


@app.command()
def devices(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> int:
    """List microphones and speakers."""
    from duologue_cli.devices import show_devices  # numpy and PortAudio load for this, not for --help

    return show_devices(json=json)


def main() -> None:
    """Run the command and exit: whatever goes wrong is one line on standard error, unless DUOLOGUE_DEBUG is set."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    try:
        code = app(arguments or ["--help"], prog_name="duologue", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except USAGE_ERRORS as exc:
        told = getattr(exc, "format_message", None)
        return _say(exc, (told() if told else str(exc)) or "see duologue --help", WRONG_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it flushes
        return FAILED
    except BaseExceptionGroup as group:
        return _report(_innermost(group))
    except Exception as exc:  # the process boundary: one line, and the traceback for who asks
        return _report(exc)


def _report(exc: BaseException) -> int:
    if isinstance(exc, ConfigurationError | DeviceUnavailable):
        return _say(exc, str(exc), WRONG_USAGE)
    if isinstance(exc, DuologueError):
        return _say(exc, str(exc), FAILED)
    return _say(exc, f"internal error, {type(exc).__name__}: {exc} (set DUOLOGUE_DEBUG=1 for the traceback)", FAILED)


def _say(exc: BaseException, message: str, code: int) -> int:
    if os.environ.get("DUOLOGUE_DEBUG"):
        traceback.print_exception(exc)
    print("duologue:", " ".join(message.split()), file=sys.stderr)
    return code


def _innermost(exc: BaseException) -> BaseException:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc
