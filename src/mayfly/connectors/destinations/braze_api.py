"""Calls to Braze: settings, and the profiles that identifiers name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mayfly.connectors.destinations.braze_answers import answer, profiles, require_deleted
from mayfly.connectors.http_replies import check_endpoint
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.ports.http import HttpClient
from mayfly.ports.source_spec import Revealed

CLUSTERS = (
    *("iad-01", "iad-02", "iad-03", "iad-04", "iad-05", "iad-06", "iad-07", "iad-08", "us-10"),
    *("fra-01", "fra-02", "au-01", "id-01", "jp-01", "kr-01"),
)
HOSTS = {c: f"rest.{c}.braze.{'eu' if c.startswith('fra') else 'com'}" for c in CLUSTERS}
IDS_MAX = 50
"""Of an export, a deletion, and a change of a subscription group."""
OBJECTS, OBJECTS_MAX = 50, 75
REQUEST_SECONDS = 60.0
STATES = ("email_subscribe", "push_subscribe")
"""Attributes that say whether a person wants any mail, or any push messages."""
_GROUP = "[A-Za-z0-9-]{1,64}"


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What a person can say of one thing: a state of their profile, or a subscription group.

    Args:
        state: `email_subscribe` or `push_subscribe`; else
        group: id of a subscription group, which is told refusals alone.
    """

    state: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        is_state = self.state in STATES and not self.group
        is_group = not self.state and re.fullmatch(_GROUP, self.group) is not None
        if not (is_state or is_group):
            raise ConfigError(
                "bad_subscription",
                "A subscription has either `state` or `group`.",
                hint=f"state is one of {', '.join(STATES)}; group is the id that Braze shows under "
                "Subscription groups.",
            )


@dataclass(frozen=True, kw_only=True)
class BrazeSettings:
    """Which workspace receives people.

    Args:
        cluster: of the workspace's REST endpoint.
        api_key: of the workspace.
        objects_per_request: as the contract with Braze has it.
        endpoint: the cluster's own host, or a literal loopback address over plain HTTP.
        subscriptions: by the name that the mapping gives them.

    Raises:
        ConfigError: `bad_cluster`, `bad_objects`, `bad_endpoint`.
    """

    cluster: str
    api_key: Revealed = field(repr=False)
    objects_per_request: int = OBJECTS
    endpoint: str = ""
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cluster not in HOSTS:
            raise ConfigError("bad_cluster", f"cluster must be one of {', '.join(CLUSTERS)}.")
        if not 1 <= self.objects_per_request <= OBJECTS_MAX:
            raise ConfigError("bad_objects", f"objects_per_request is 1 to {OBJECTS_MAX}.")
        if self.endpoint:
            check_endpoint(self.endpoint, HOSTS[self.cluster])

    @property
    def base(self) -> str:
        """Where calls go."""
        return self.endpoint or f"https://{HOSTS[self.cluster]}"


class BrazeApi:
    """Calls with the workspace's key. May run concurrently.

    Args:
        settings: which workspace.
        http: connects to its cluster.
        now: seconds since 1970.
    """

    def __init__(
        self, settings: BrazeSettings, http: HttpClient, *, now: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self._http = http
        self._now = now

    async def call(self, path: str, content: bytes) -> Mapping[str, Any]:
        """The answer's JSON; all that is personal is in `content`.

        Raises:
            EngineError: as `braze_answers.answer`.
        """
        reply = await self._http.request(
            "POST",
            f"{self.settings.base}/{path}",
            headers={
                "authorization": f"Bearer {self.settings.api_key.reveal()}",
                "content-type": "application/json",
            },
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )
        return answer(reply, now=self._now())

    async def ask(self, path: str, body: object) -> Mapping[str, Any]:
        """A call that no row is to blame for.

        Raises:
            EngineError: as `call`, but no RequestRefusedError.
        """
        try:
            return await self.call(path, orjson.dumps(body))
        except RequestRefusedError as error:
            raise ContractError(error.code, error.message, hint=error.hint) from None

    async def of_ids(
        self, ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, Mapping[str, Any]]:
        """Profiles by their external ids; those that are not there are left out.

        Raises:
            EngineError: as `ask`.
        """
        found: dict[str, Mapping[str, Any]] = {}
        for first in range(0, len(ids), IDS_MAX):
            body = {
                "external_ids": list(ids[first : first + IDS_MAX]),
                "fields_to_export": ["external_id", *fields],
            }
            for user in profiles(await self.ask("users/export/ids", body)):
                found[str(user.get("external_id"))] = user
        return found

    async def of_one(self, kind: str, value: str) -> list[str]:
        """Braze's own ids of all profiles that have an address or a number.

        Args:
            kind: `email_address` or `phone`.
            value: of it.

        Raises:
            EngineError: as `ask`.
        """
        body = {kind: value, "fields_to_export": ["braze_id"]}
        users = profiles(await self.ask("users/export/ids", body))
        return [str(user["braze_id"]) for user in users if isinstance(user.get("braze_id"), str)]

    async def delete(self, kind: str, ids: Sequence[str]) -> None:
        """Delete profiles for good; those that are not there are passed over.

        Args:
            kind: `external_ids` or `braze_ids`.
            ids: any number.

        Raises:
            EngineError: as `ask`; ContractError `unknown_answer`.
        """
        for first in range(0, len(ids), IDS_MAX):
            some = list(ids[first : first + IDS_MAX])
            require_deleted(await self.ask("users/delete", {kind: some}), len(some))
