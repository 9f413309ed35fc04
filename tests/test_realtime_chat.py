"""The tools of the example, and its lines, without devices; tests/audio has it on a terminal."""

import importlib.util
import inspect
import os
import sys
from pathlib import Path

import pytest
from duologue import ToolError

HERE = Path(__file__).resolve().parent.parent / "examples" / "realtime_chat"


@pytest.fixture(scope="module")
def chat():
    spec = importlib.util.spec_from_file_location("realtime_chat_example", HERE / "chat.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "inside"
    (inside / "deep").mkdir(parents=True)
    (inside / "shopping-list.txt").write_text("Milk.")
    (inside / "deep" / "poem.txt").write_text("Roses.")
    (inside / "picture.bin").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "secret.txt").write_text("The secret.")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key.txt").write_text("The key.")
    return inside


@pytest.fixture
def tools(chat, folder):
    return {tool.name: tool.handler for tool in chat.file_tools(folder)}


def test_the_program_has_at_most_150_lines():
    assert len((HERE / "chat.py").read_text().splitlines()) <= 150


def test_files_are_listed_and_read_by_their_names_and_as_they_are_spoken(tools):
    assert tools["list_files"]() == "The files are: deep/poem.txt, picture.bin, shopping-list.txt."
    for name in ("shopping-list.txt", "shopping list", "the file Shopping List"):
        assert tools["read_file"](name) == "Milk."
    assert tools["read_file"]("deep/poem.txt") == tools["read_file"]("poem") == "Roses."


def test_an_empty_folder_has_no_files(chat, tmp_path):
    assert chat.file_tools(tmp_path)[0].handler() == "The files are: none."


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "deep/../../secret.txt", "/etc/hostname", "..", "../secrets/key.txt", "../inside/../secret.txt"],
)
def test_a_path_that_leads_out_of_the_folder_is_refused(tools, name):
    with pytest.raises(ToolError, match="outside of the folder"):
        tools["read_file"](name)


def test_so_is_the_absolute_path_of_a_file_outside(tools, folder):
    with pytest.raises(ToolError, match="outside of the folder"):
        tools["read_file"](str(folder.parent / "secret.txt"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_so_are_links_to_files_and_to_folders_by_name_and_by_speech(tools, folder):
    (folder / "door").symlink_to(folder.parent / "secret.txt")
    (folder / "tunnel").symlink_to(folder.parent / "secrets")
    for name in ("door", "tunnel/key.txt"):
        with pytest.raises(ToolError, match="outside of the folder"):
            tools["read_file"](name)
    for name in ("the door", "key"):  # found by its stem, a link must not lead out either
        with pytest.raises(ToolError, match="There is no file"):
            tools["read_file"](name)
    assert "door" not in tools["list_files"]()
    assert "key" not in tools["list_files"]()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes of this kind")
def test_a_pipe_is_no_file_to_wait_for(tools, folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(ToolError, match="There is no file"):
        tools["read_file"]("pipe")


def test_what_is_no_text_or_not_there_is_told_in_a_sentence(tools):
    with pytest.raises(ToolError, match="can't be read as text"):
        tools["read_file"]("picture.bin")
    with pytest.raises(ToolError, match="There is no file"):
        tools["read_file"]("unheard")
    with pytest.raises(ToolError, match="can't be read as text"):
        tools["read_file"]("nul\0")


def test_a_long_file_is_read_to_a_bound(tools, folder, chat):
    (folder / "long.txt").write_text("x" * (chat.LONGEST + 1))
    assert len(tools["read_file"]("long.txt")) == chat.LONGEST


@pytest.mark.parametrize("url", ["file:///etc/passwd", "file:/etc/passwd", "chrome://version", "data:text/html,x"])
async def test_a_screenshot_is_of_the_web_and_of_nothing_else(chat, url):
    pytest.importorskip("playwright")
    with pytest.raises(ToolError, match="Only pages of the web"):
        await chat.take_screenshot.handler(url)


def test_the_tools_say_what_they_take(chat, folder):
    schemas = {tool.name: tool.input_schema for tool in [*chat.file_tools(folder), chat.take_screenshot]}
    assert [list(schema["properties"]) for schema in schemas.values()] == [[], ["name"], ["url"]]


def test_meters_go_from_60_db_below_full_scale_to_full_scale(chat):
    assert [chat.meter("you", db).plain.count("█") for db in (-96, -60, -30, 0)] == [0, 0, 20, 40]


async def test_a_machine_without_a_browser_gets_no_tool_for_it_and_is_told_what_to_install(chat, monkeypatch):
    said = []

    class Stop(Exception):
        pass

    class Agent:
        def __init__(self, system, transport, tools):
            said.append([tool.name for tool in tools])

        async def __aenter__(self):
            raise Stop

        async def __aexit__(self, *_):
            pass

    class Lines:
        print = said.append

    monkeypatch.setattr(chat, "RealtimeAgent", Agent)
    monkeypatch.setattr(chat, "browser_path", lambda: None)
    with pytest.raises(Stop):
        await chat.chat("local", HERE / "notes", None, None, Lines)
    assert "pip install playwright" in said[0]
    assert ["list_files", "read_file"] in said


def test_every_function_is_typed(chat):
    functions = [f for _, f in inspect.getmembers(chat, inspect.isfunction) if f.__module__ == chat.__name__]
    assert functions
    assert all("return" in f.__annotations__ for f in functions)
