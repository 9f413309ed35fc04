"""The documentation does what it says: every Python snippet runs, every relative link leads somewhere.

The snippets of a file run in order and share a namespace, as a reader would type them. Comments just before a
fence say more about it:

- `<!-- models -->`: it needs the real local models; the file runs as a whole under the marker `models`;
- `<!-- compile only: REASON -->`: it can't run here; it is compiled;
- `<!-- output -->` before a text fence: what the Python before it prints, in full.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    {
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *ROOT.glob("packages/*/README.md"),
        *ROOT.glob("examples/*/README.md"),
        *ROOT.glob("docs/**/*.md"),
    }
)
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))
FENCE = re.compile(
    r"""
    (?: ^[ ]* <!-- [ ]* (?P<note>[^>]*?) [ ]* --> [ ]*\n \s* )?
    ^(?P<indent>[ ]*) ``` (?P<language>\w*) [^\n]* \n
    (?P<body>.*?)
    ^(?P=indent) ``` [ ]* $
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(<?(?P<target>[^)>\s]+)>?[^)]*\)|(?:src|href)=\"(?P<attribute>[^\"]+)\"")


@dataclass(frozen=True)
class Snippet:
    """One fence."""

    language: str
    body: str
    line: int
    note: str = ""

    @property
    def runs(self) -> bool:
        return self.language == "python" and not self.note.startswith("compile only:")


def snippets_of(text: str) -> list[Snippet]:
    return [
        Snippet(
            language=found["language"],
            body=textwrap.dedent(found["body"]),
            line=text.count("\n", 0, found.start("body")),
            note=found["note"] or "",
        )
        for found in FENCE.finditer(text)
    ]


def run(snippets: list[Snippet], name: str) -> None:
    """Run snippets one after another; compare what they print where the page says it."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for snippet in snippets:
        if snippet.language == "python":
            # Line numbers of the page, so that a failure points into it.
            code = compile(
                "\n" * snippet.line + snippet.body, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
            )
            if not snippet.runs:
                continue
            with contextlib.redirect_stdout(io.StringIO()) as output:
                made = eval(code, namespace)
                if inspect.iscoroutine(made):
                    asyncio.run(made)
            printed = output.getvalue()
        elif snippet.note == "output":
            assert printed.strip() == snippet.body.strip(), f"{name}:{snippet.line}: this is not what it prints"


def names(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def needs_models(snippets: list[Snippet]) -> bool:
    return any(snippet.note == "models" for snippet in snippets)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Snippets may write files."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", names(PAGES))
def test_the_snippets_of_a_page_run(page):
    snippets = snippets_of(page.read_text(encoding="utf-8"))
    run([snippet for snippet in snippets if snippet.note != "models"], str(page))


@pytest.mark.models
@pytest.mark.parametrize("page", names([page for page in PAGES if needs_models(snippets_of(page.read_text("utf-8")))]))
def test_the_snippets_of_a_page_run_with_the_models(page):
    run(snippets_of(page.read_text(encoding="utf-8")), str(page))


def docstrings_of(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("source", names([path for path in SOURCES if "```python" in path.read_text("utf-8")]))
def test_the_examples_in_docstrings_run(source):
    """The reference is made of them."""
    for docstring in docstrings_of(source):
        run([snippet for snippet in snippets_of(docstring) if snippet.note != "models"], str(source))


@pytest.mark.parametrize("page", names(PAGES))
def test_notes_on_fences_are_known(page):
    for snippet in snippets_of(page.read_text(encoding="utf-8")):
        known = {"": True, "models": snippet.language == "python", "output": snippet.language == "text"}
        excused = re.fullmatch(r"compile only: \S.*", snippet.note) and snippet.language == "python"
        assert known.get(snippet.note) or excused, f"{page}:{snippet.line}: what does {snippet.note!r} mean?"
        assert snippet.language, f"{page}:{snippet.line}: a fence without language"


def anchors_of(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", names(PAGES))
def test_relative_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for found in LINK.finditer(text):
        target = found["target"] or found["attribute"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page}: {target} does not exist"
        if anchor and file.suffix == ".md":
            assert anchor in anchors_of(file), f"{page}: {file} has no heading {anchor}"


def test_a_page_in_docs_links_only_into_docs():
    """The site holds nothing else, so a link out of it would be dead there."""
    for page in (ROOT / "docs").glob("**/*.md"):
        for found in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
            target = (found["target"] or found["attribute"]).partition("#")[0]
            if target and not re.match(r"[a-z]+:", target):
                assert (page.parent / target).resolve().is_relative_to(ROOT / "docs"), f"{page}: {target}"


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs" / "decisions"
    linked = {found["target"] for found in LINK.finditer((folder / "index.md").read_text("utf-8"))}
    assert {page.name for page in folder.glob("*.md")} - linked == {"index.md"}


def test_the_readme_holds_both_commands_in_both_forms():
    """`.ci/run` runs them."""
    shell = "\n".join(s.body for s in snippets_of((ROOT / "README.md").read_text("utf-8")) if s.language == "sh")
    for command in ('uv run duologue chat --say "What time is it in Tokyo?"', "uv run pytest"):
        assert f"pip install uv && {command}" in shell
        assert f"pipx run {command}" in shell
        assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_snippets_share_a_namespace_and_may_await():
    run(
        [Snippet("python", "x = 1\n", 1), Snippet("python", "import asyncio\nawait asyncio.sleep(0)\nx += 1\n", 5)], "p"
    )
    with pytest.raises(NameError):
        run([Snippet("python", "x += 1\n", 1)], "p")


def test_output_is_compared():
    said = Snippet("python", "print('yes')\n", 1)
    run([said, Snippet("text", "yes\n", 3, "output")], "p")
    with pytest.raises(AssertionError, match="p:3"):
        run([said, Snippet("text", "no\n", 3, "output")], "p")


def test_a_snippet_that_cannot_run_is_still_compiled():
    run([Snippet("python", "undefined\n", 1, "compile only: because")], "p")
    with pytest.raises(SyntaxError):
        run([Snippet("python", "x ==\n", 1, "compile only: because")], "p")


def test_fences_are_found_with_their_notes():
    text = (
        "Text.\n\n<!-- models -->\n```python\nx = 1\n```\n\n- item\n\n  ```text\n  a\n    b\n  ```\n\n```sh\nls\n```\n"
    )
    assert snippets_of(text) == [
        Snippet("python", "x = 1\n", 4, "models"),
        Snippet("text", "a\n  b\n", 10),
        Snippet("sh", "ls\n", 15),
    ]
