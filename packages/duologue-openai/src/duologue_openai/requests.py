"""Requests: the one writer of `response.create`, and of `response.cancel`. Pure.

The default conversation makes one reply at a time; a second `response.create` is refused and the turn is lost. So:

- a request that comes while a reply is made, or was asked for and has not begun, waits for `response.done`;
- the results of one reply's calls ask once, when the last of them is in and the reply is over;
- while the user speaks and the server will answer by itself, results ask for nothing: that answer knows them. Whether
  it does, the server tells by the order of its events: an item is confirmed before the reply that has read it;
- a stop that comes between the request and `response.created` cancels the reply by name as soon as it has one;
- a request that crosses a reply the server began by itself is refused, and made again only where that reply can't
  have read what the request was about.

Nothing here waits for time to pass.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duologue_openai.client_events import ClientEvent, ResponseCancel, ResponseCreate

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED = 256
"""Batches and unconfirmed items that are kept; a server that forgets more has given them up."""

BUSY = "conversation_already_has_active_response"


@dataclass(slots=True)
class Batch:
    """The calls of one reply.

    Attributes:
        open: calls that wait for their result.
        due: a result wants to be spoken about.
        over: the reply is done: no more calls of it will come.
    """

    open: set[str] = field(default_factory=set)
    due: bool = False
    over: bool = False


class Requests:
    """The state of one connection. Methods return what is to be sent.

    Attributes:
        active: the id of the reply that is being made, "" for none.
        answers_speech: the server answers by itself when the user stops speaking.
    """

    def __init__(self, name: Callable[[str], str], *, answers_speech: bool) -> None:
        self.active = ""
        self.answers_speech = answers_speech
        self._name = name
        self._asked = ""
        self._wanted = False
        self._due = False
        self._stop = False
        self._cancelled = ""
        self._expects = False
        self._missed_items = False
        self._unconfirmed: OrderedDict[str, None] = OrderedDict()
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._batch_of: dict[str, str] = {}

    # -- what we want ---------------------------------------------------------------------------------

    def ask(self) -> list[ClientEvent]:
        """The application wants a reply."""
        self._wanted = True
        return self._next()

    def stop(self) -> list[ClientEvent]:
        """The application wants no reply any more."""
        self._wanted = self._due = False
        for batch in self._batches.values():
            batch.due = False
        if self.active:
            return self._cancel()
        self._stop = bool(self._asked)
        return []

    def answered(self, call_id: str, *, silent: bool) -> list[ClientEvent]:
        """The result of a call was sent."""
        response_id = self._batch_of.pop(call_id, "")
        batch = self._batches.get(response_id)
        if batch is None:
            self._due = self._due or not silent
        else:
            batch.open.discard(call_id)
            batch.due = batch.due or not silent
            self._settle(response_id, batch)
        return self._next()

    def sent(self, item_id: str) -> None:
        """An item that a reply should know was sent."""
        self._unconfirmed[item_id] = None
        if len(self._unconfirmed) > REMEMBERED:
            self._unconfirmed.popitem(last=False)

    # -- what the server says -------------------------------------------------------------------------

    def confirmed(self, item_id: str) -> None:
        """The server has that item."""
        self._unconfirmed.pop(item_id, None)

    def created(self, response_id: str) -> list[ClientEvent]:
        """A reply began, ours or the server's own."""
        own, self._asked = bool(self._asked), ""
        self.active, self._expects = response_id, False
        self._missed_items = bool(self._unconfirmed)
        if not own and not self._missed_items:
            self._wanted = self._due = False  # it has read everything that asked for a reply
        self._batches.setdefault(response_id, Batch())
        if len(self._batches) > REMEMBERED:
            _, forgotten = self._batches.popitem(last=False)
            for call_id in forgotten.open:
                self._batch_of.pop(call_id, None)
        if self._stop:
            self._stop = False
            return self._cancel()
        return []

    def done(self, response_id: str) -> list[ClientEvent]:
        """A reply is over."""
        if response_id == self.active:
            self.active = ""
        batch = self._batches.get(response_id)
        if batch is not None:
            batch.over = True
            self._settle(response_id, batch)
        return self._next()

    def called(self, call_id: str, response_id: str) -> None:
        """A reply holds a call."""
        if response_id in self._batches:
            self._batch_of[call_id] = response_id
            self._batches[response_id].open.add(call_id)

    def withdrawn(self, call_id: str) -> None:
        """A call will never be whole, and needs no answer."""
        response_id = self._batch_of.pop(call_id, "")
        batch = self._batches.get(response_id)
        if batch is not None:
            batch.open.discard(call_id)

    def user_began(self) -> list[ClientEvent]:
        """The user speaks."""
        self._expects = self.answers_speech
        return []

    def user_gone(self) -> list[ClientEvent]:
        """No answer to the user's speech will come: it was forgotten, or the server does not answer by itself."""
        self._expects = False
        return self._next()

    def busy(self, event_id: str) -> None:
        """A request of ours crossed a reply that the server had begun."""
        self._answer_came(event_id)
        if self._stop:
            self._stop = False
        elif not self.active or self._missed_items:
            self._wanted = True  # made again once that reply is done

    def refused(self, event_id: str) -> list[ClientEvent]:
        """A request of ours was refused for another reason, and is not made again."""
        self._answer_came(event_id)
        self._stop = False
        return self._next()

    # -- how it goes on -------------------------------------------------------------------------------

    def _answer_came(self, event_id: str) -> None:
        if event_id == self._asked:
            self._asked = ""

    def _settle(self, response_id: str, batch: Batch) -> None:
        if batch.over and not batch.open:
            del self._batches[response_id]
            self._due = self._due or batch.due

    def _next(self) -> list[ClientEvent]:
        if self.active or self._asked or not (self._wanted or (self._due and not self._expects)):
            return []
        self._wanted = self._due = False
        self._asked = self._name("create")
        return [ResponseCreate(event_id=self._asked)]

    def _cancel(self) -> list[ClientEvent]:
        if self._cancelled == self.active:
            return []
        self._cancelled = self.active
        return [ResponseCancel(event_id=self._name("cancel"), response_id=self.active)]
