"""OpenAISession: a session, with what only this provider knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError
from duologue.wire import ProviderCommand, WireSession

from duologue_openai.listening import MARK
from duologue_openai.plan import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping


class OpenAISession(WireSession):
    """A session of OpenAI Realtime: reach it as `agent.session`."""

    _asides = 0

    async def ask_aside(
        self,
        instructions: str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
        modality: str = "text",
        **settings: Any,
    ) -> str:
        """Ask for a reply that the conversation never hears of: a summary, a classification, a moderation.

        It may run beside the conversation's own reply. All its events come verbatim as `ProviderEvent`, from
        `response.created` to `response.done`, both of which hold the metadata; nothing of it is played, or kept in
        the history, and its calls are not run.

        Args:
            instructions: what to do; without any, the session's own.
            metadata: comes back with the reply, next to ours.
            modality: "text" or "audio".
            settings: further fields of a response by the protocol's names, such as `input=[]` (forget the
                conversation), `tools`, `max_output_tokens`.

        Returns:
            The mark under which the reply comes: its `metadata["duologue"]`.

        Raises:
            ConfigurationError: a response has no such setting.
            SessionClosed: the session has ended.

        Source: the Realtime API reference, `response.create`.
        """
        self._asides += 1
        mark = f"aside-{self._asides}"
        response: dict[str, Any] = {
            "conversation": "none",
            "output_modalities": [modality],
            "metadata": {**(metadata or {}), MARK: mark},
            **settings,
        }
        if instructions is not None:
            response["instructions"] = instructions
        await self.perform(ProviderCommand("response.create", {"response": response}))
        return mark

    async def approve(self, request_id: str, approve: bool = True, *, reason: str | None = None) -> None:
        """Answer an `mcp_approval_request` of a remote tool.

        Raises:
            SessionClosed: the session has ended.
        """
        answer: dict[str, Any] = {
            "type": "mcp_approval_response",
            "approval_request_id": request_id,
            "approve": approve,
        }
        if reason is not None:
            answer["reason"] = reason
        await self.send_event("conversation.item.create", {"item": answer})

    async def send_event(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Send a client event of the protocol as it is, such as `conversation.item.delete`.

        Errors that it causes come as `Problem`. Replies of the conversation are asked for by `agent.commit()`, and
        stopped by `agent.interrupt()`: their order is the session's business.

        Raises:
            ConfigurationError: there is no such event, or it is the session's own business.
            SessionClosed: the session has ended.
        """
        if kind in ("response.create", "response.cancel", "input_audio_buffer.append"):
            raise ConfigurationError(
                f"{kind} is sent by the session itself: use commit(), ask_aside(), interrupt() or send()",
                provider=PROVIDER,
            )
        await self.perform(ProviderCommand(kind, dict(data or {})))
