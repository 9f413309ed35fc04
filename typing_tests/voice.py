"""For mypy only: the façade's decorators keep what they decorate, and its session and stream are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never, assert_type

from duologue.voice import AudioChunk, RealtimeVoice, ToolCallRequest, TranscriptDelta, VoiceSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def use(voice: RealtimeVoice, microphone: AsyncIterator[bytes]) -> None:
    @voice.on_tool_call
    async def answer(request: ToolCallRequest) -> str:
        return request.function_name

    assert_type(await answer(ToolCallRequest("c", "f")), str)
    async with voice.connect() as session:
        assert_type(session, VoiceSession)
    assert_type(await voice.connect(), VoiceSession)
    async for piece in voice.run(microphone):
        match piece:
            case AudioChunk():
                assert_type(piece.data, bytes)
            case TranscriptDelta():
                assert_type(piece.text, str)
            case _:
                assert_never(piece)
