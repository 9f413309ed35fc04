"""Frames survive the pipe, and nonsense is noticed."""

from __future__ import annotations

import io

import pytest
from duologue.errors import LocalProtocolError
from duologue_local.framing import pack, read
from hypothesis import given
from hypothesis import strategies as st


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()), st.binary(max_size=500))
def test_what_is_packed_is_read(header: dict[str, object], payload: bytes) -> None:
    stream = io.BytesIO(pack(header, payload) * 2)
    assert read(stream) == (header, payload)
    assert read(stream) == (header, payload)
    assert read(stream) is None


@given(st.integers(0, 30))
def test_a_frame_that_breaks_off_is_the_end(length: int) -> None:
    whole = pack({"id": 1}, b"x" * 20)
    assert read(io.BytesIO(whole[:length])) is None


@pytest.mark.parametrize(
    "data",
    [b"hello, this is a log line", b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{,"],
)
def test_what_is_no_frame_is_an_error(data: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="garbled"):
        read(io.BytesIO(data))
