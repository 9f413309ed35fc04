"""The page about Gemini says what the package does: its tables are those of the data."""

import pytest


@pytest.fixture
def tables(script):
    return script("google_tables")


def test_the_tables_of_the_page_are_those_of_the_data(tables, root):
    text = (root / "docs" / "reference" / "gemini.md").read_text()
    assert tables.page(text) == text, "run `just google-tables` and commit what it writes"
    assert "`thinking`" in text


def test_every_family_can_be_planned(tables):
    tables.check()
