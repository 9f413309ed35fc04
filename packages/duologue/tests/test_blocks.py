from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any, get_args

import pytest
from duologue import AudioBlock, ContentBlock, ImageBlock, TextBlock, ToolUseBlock

BLOCKS: list[Any] = [
    TextBlock("hi"),
    AudioBlock(b"\x00\x01", "audio/pcm;rate=48000"),
    ImageBlock(b"\xff\xd8", "image/png"),
    ToolUseBlock("c1", "look", {"at": ["it"]}),
]


def test_blocks_are_made_by_position_or_by_keyword() -> None:
    assert TextBlock("hi") == TextBlock(text="hi")
    assert AudioBlock(b"\x00\x01") == AudioBlock(data=b"\x00\x01", media_type="audio/pcm")
    assert ImageBlock(b"x") == ImageBlock(data=b"x", media_type="image/jpeg")
    assert ToolUseBlock("c1", "look", {}) == ToolUseBlock(id="c1", name="look", input={})


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_are_frozen_slotted_hashable_and_copy(block: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(block, dataclasses.fields(block)[0].name, "other")
    assert not hasattr(block, "__dict__")
    assert hash(block) == hash(copy.deepcopy(block))
    assert pickle.loads(pickle.dumps(block)) == block


@pytest.mark.parametrize("block", BLOCKS)
def test_every_field_of_a_block_counts_in_equality(block: Any) -> None:
    for field in dataclasses.fields(block):
        assert dataclasses.replace(block, **{field.name: "something else"}) != block


def test_content_is_text_audio_or_image() -> None:
    assert set(get_args(ContentBlock)) == {TextBlock, AudioBlock, ImageBlock}
