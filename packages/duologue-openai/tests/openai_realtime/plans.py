"""Plans: sessions to test with."""

from duologue import Tool, TurnDetection
from duologue_openai import OpenAIOptions
from duologue_openai.plan import SessionPlan, tool_plans

WEATHER = Tool(
    "weather", None, "Say what the weather is like.", {"type": "object", "properties": {"city": {"type": "string"}}}
)

FULL = SessionPlan(
    model="gpt-realtime-2.1",
    system="Be brief.",
    tools=tool_plans([WEATHER]),
    voice="marin",
    detection=TurnDetection("server", 0.4, 200, 600, interrupt=False, create_response=True),
    options=OpenAIOptions(
        modality="audio",
        speed=1.25,
        max_output_tokens=1000,
        tool_choice={"type": "function", "name": "weather"},
        parallel_tool_calls=True,
        transcription={"model": "gpt-4o-transcribe", "language": "en", "prompt": "names"},
        noise_reduction="far_field",
        idle_timeout_ms=6000,
        truncation={"type": "retention_ratio", "retention_ratio": 0.8},
        reasoning="low",
        tracing={"workflow_name": "test"},
        prompt={"id": "pmpt_1", "version": "2"},
        mcp=[{"server_label": "docs", "server_url": "https://example.com/mcp", "require_approval": "never"}],
        include=["item.input_audio_transcription.logprobs"],
    ),
)
