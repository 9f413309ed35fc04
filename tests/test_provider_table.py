"""The page of providers says what the code says."""

import dataclasses
import logging

from duologue import Capabilities


def test_the_page_is_up_to_date(script):
    logging.disable(logging.WARNING)
    try:
        table = script("provider_table")
        assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run `just providers` and commit what it writes"
    finally:
        logging.disable(logging.NOTSET)


def test_every_capability_is_explained(script):
    assert set(script("provider_table").MEANING) == {field.name for field in dataclasses.fields(Capabilities)}
