"""Run by the official client's interpreter: holds a conversation with the server named by the first argument."""

import asyncio
import json
import sys

from air import AsyncAIRefinery

seen = {}


async def weather(query):
    seen["called"] = query
    return f"sunny, {query}"


async def turn(vc, text, *, cancel_at=None):
    kinds = []
    await vc.send_text_query(text)
    async for message in vc.get_responses():
        kinds.append(message.get("type"))
        if kinds[-1] == "response.text.delta":
            seen.setdefault("text", []).append([message.get("role"), message.get("content")])
        if kinds[-1] == "response.audio.delta":
            seen["audio"] = seen.get("audio", 0) + len(message.get("audio"))
        if kinds[-1] == cancel_at:
            cancel_at = None
            await vc.cancel_response()
    return kinds


async def main(url):
    client = AsyncAIRefinery(api_key="key-of-a-test", base_url=url)
    config = {"utility_agents": [{"agent_class": "CustomAgent", "agent_name": "Weather", "config": {}}]}
    seen["created"] = client.realtime_distiller.create_project(json_config=config, project="example")
    seen["downloaded"] = client.realtime_distiller.download_project(project="example", project_version="0")
    async with client.realtime_distiller(project="example", uuid="test", executor_dict={"Weather": weather}) as vc:
        seen["hello"] = await turn(vc, "hello there")
        seen["tool"] = await turn(vc, "call the agent")
        seen["cancelled"] = await turn(vc, "a long story", cancel_at="response.audio.delta")
        await vc.notify_playback_started()
        await vc.notify_playback_stopped()
        await vc.commit_audio()
        await vc.clear_audio_buffer()
        await vc.send_audio_chunk(b"\x01\x02" * 160)
        seen["interrupted"] = await turn(vc, "be interrupted")
    sys.stdout.write(json.dumps(seen) + "\n")


asyncio.run(main(sys.argv[1]))
