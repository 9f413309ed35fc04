from pathlib import Path

import pytest
from duologue.errors import ConfigurationError
from duologue_cli.arguments import ChatArguments
from duologue_cli.command import app
from duologue_cli.run import prepare

pytestmark = pytest.mark.usefixtures("doubles")


def asked(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> ChatArguments:
    """What the command line asks for."""
    taken: list[ChatArguments] = []
    monkeypatch.setattr("duologue_cli.run.run_chat", lambda chat: taken.append(chat) or 0)
    app(["chat", *arguments], standalone_mode=False)
    return taken[0]


def test_turns_keep_the_order_of_the_command_line(monkeypatch: pytest.MonkeyPatch, voice_wav: Path) -> None:
    file = str(voice_wav)
    arguments = asked(
        monkeypatch, "--say", "One.", "--input", file, "--say=Two.", "--transport", "voiced", "--input", file
    )
    turns = prepare(arguments).turns
    assert turns is not None
    assert [turn.text or "file" for turn in turns] == ["One.", "file", "Two.", "file"]
    assert [turn.typed for turn in turns] == [True, False, True, False]  # the texts are not spoken yet


def test_the_transport_is_local_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("GEMINI_API_KEY", "OPENAI_API_KEY", "API_KEY"):
        monkeypatch.setenv(key, "a key that lies about")
    assert asked(monkeypatch, "--text").transport == "local"
    monkeypatch.setenv("DUOLOGUE_TRANSPORT", "voiced")
    assert asked(monkeypatch, "--text").transport == "voiced"
    assert asked(monkeypatch, "--text", "--transport", "typed").transport == "typed"
    monkeypatch.setenv("DUOLOGUE_TRANSPORT", "")
    assert asked(monkeypatch, "--text").transport == "local"


def test_only_the_local_transport_gets_the_demo_tools(tmp_path: Path) -> None:
    from duologue_local import DEMO_TOOLS

    assert prepare(ChatArguments("local", text=True)).tools == list(DEMO_TOOLS)
    assert prepare(ChatArguments("voiced", text=True)).tools == []
    (tmp_path / "one_tool.py").write_text('def mine() -> str:\n    """Say yes."""\n    return "yes"\n')
    assert [tool.name for tool in prepare(ChatArguments("local", text=True, tools=("one_tool:mine",))).tools] == [
        "mine"
    ]


def test_a_base_url_reaches_a_transport_that_takes_it_and_no_other() -> None:
    prepare(ChatArguments("typed", text=True, base_url="ws://localhost:1"))
    with pytest.raises(ConfigurationError, match="does not take these options"):
        prepare(ChatArguments("local", text=True, base_url="ws://localhost:1"))


def test_the_local_models_tell_how_far_they_are_while_they_load(monkeypatch):
    told = {}
    monkeypatch.setattr("duologue_cli.run.get_transport", lambda name, **options: told.setdefault(name, options))
    plan = prepare(ChatArguments("local", text=True))
    prepare(ChatArguments("typed", text=True))
    assert told == {"local": {"on_progress": plan.loading}, "typed": {}}
