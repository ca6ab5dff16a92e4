"""A platform that is not to be relied on: requests it does not take, and answers that get lost."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PEOPLE, ANYTHING = "/users", ""
_CONTROL = "/_sandbox"


@dataclass(kw_only=True)
class Sending:
    """One request with people.

    Attributes:
        turn: of the process that sent it.
        people: method and digest of each.
        answered: whether its answer left, whole.
    """

    turn: int
    people: frozenset[tuple[str, str]]
    answered: bool = False


@dataclass(kw_only=True)
class Unreliable:
    """An application in front of the sandbox's; its control stays reliable.

    Attributes:
        app: the sandbox's.
        chance: draws the faults.
        share: of the requests that fail. Half of those are not taken; the others are, and then
            the connection is cut, or, once a turn, nothing comes any more.
        away: paths that end so are not taken at all.
        said: stands in the answers to what is not taken, as vendors echo what they were sent.
        turn: of the process that sends now; to be counted by who starts processes.
        sendings: all requests with people, in the order in which they ended.
    """

    app: ASGIApp
    chance: random.Random
    said: str
    share: float = 0.0
    away: str | None = None
    turn: int = 0
    sendings: list[Sending] = field(default_factory=list)
    _hung: set[int] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http" or scope["path"].startswith(_CONTROL):
            await self.app(scope, receive, send)
            return
        body = await _body(receive)
        sending = Sending(turn=self.turn, people=_people(scope, body))
        failing = self.chance.random() < self.share
        is_away = self.away is not None and scope["path"].endswith(self.away)
        if is_away or (failing and self.chance.random() < 0.5):
            await _refuse(send, self.said)
        elif failing:
            await self.app(scope, _replay(body, receive), _nowhere)
            await self._lose(receive, send)
        else:
            await self.app(scope, _replay(body, receive), send)
            sending.answered = True
        if sending.people:
            self.sendings.append(sending)

    async def _lose(self, receive: Receive, send: Send) -> None:
        """What was answered is told to nobody: it hangs until the client has had enough."""
        if self.turn not in self._hung:
            self._hung.add(self.turn)
            while (await receive())["type"] != "http.disconnect":
                pass
        # Only the server's own sender knows the connection.
        send.__self__.transport.abort()  # type: ignore[attr-defined]


def sent_again(sendings: Sequence[Sending], *, lanes: int) -> tuple[int, int]:
    """How many people were sent again after an answer, and how many of those without excuse.

    An answer that the process had no time to keep is one: at its end each lane had one at most, of
    those that came last.
    """
    answered = [s for s in sendings if s.answered]
    seen: dict[tuple[str, str], int] = {}
    again = unexcused = 0
    for at, sending in enumerate(answered):
        for person in sending.people:
            before = seen.get(person)
            seen[person] = at
            if before is None:
                continue
            again += 1
            later = sum(s.turn == answered[before].turn for s in answered[before + 1 :])
            unexcused += sending.turn == answered[before].turn or later >= lanes
    return again, unexcused


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """What was read already, then what comes."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return again


async def _nowhere(message: Message) -> None:
    """The answer is lost."""


async def _refuse(send: Send, said: str) -> None:
    error: dict[str, Any] = {"message": said, "type": "OAuthException", "code": 2}
    content = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _people(scope: Scope, body: bytes) -> frozenset[tuple[str, str]]:
    if not scope["path"].endswith(PEOPLE) or not body:
        return frozenset()
    payload = json.loads(body)["payload"]
    if "EMAIL" not in payload["schema"]:
        return frozenset()
    column = payload["schema"].index("EMAIL")
    return frozenset((scope["method"], row[column]) for row in payload["data"])
