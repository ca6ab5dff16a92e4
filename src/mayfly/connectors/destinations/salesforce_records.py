"""Records of Salesforce that keys name: looked up, changed and deleted by their ids.

Neither keys nor ids stand in an address that is called: questions and deletions are parts of a
composite request, whose body holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from mayfly.connectors.destinations.salesforce_answers import (
    entries_of,
    record_id,
    row_outcome,
    unfit,
)
from mayfly.connectors.destinations.salesforce_api import SalesforceApi
from mayfly.connectors.row_parts import Told

IDS_MAX = 200
"""Of a collection."""
PARTS_MAX = 5
"""Questions and collections in one composite request."""
QUESTION_CHARACTERS_MAX = 8_000
"""Of a part's address."""
_ESCAPES = str.maketrans({
    "\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b",
    "\f": "\\f",
})  # fmt: skip


def quoted(text: str) -> str:
    """A text as SOQL has it, whatever stands in it.

    Source: SOQL and SOSL Reference, Quoted String Escape Sequences.
    """
    return f"'{text.translate(_ESCAPES)}'"


def questions(select: str, field: str, values: Sequence[str], rest: str = "") -> Iterator[str]:
    """As many statements as it takes to ask for all values, each short enough. Pure.

    Args:
        select: what of which object, up to `WHERE`.
        field: that has one of the values.
        values: texts.
        rest: further conditions.
    """
    size, part = 0, list[str]()
    for value in values:
        text = quoted(value)
        # As long as it is in an address.
        more = len(quote(text, safe="")) + 3
        if part and (size + more > QUESTION_CHARACTERS_MAX or len(part) == IDS_MAX):
            yield f"{select} WHERE {field} IN ({','.join(part)}){rest}"
            size, part = 0, []
        size += more
        part.append(text)
    if part:
        yield f"{select} WHERE {field} IN ({','.join(part)}){rest}"


class RecordCalls:
    """Calls about records that are there. May run concurrently."""

    def __init__(self, api: SalesforceApi) -> None:
        self._api = api

    async def asked(
        self, statements: Sequence[str], *, with_deleted: bool = False
    ) -> list[Mapping[str, Any]]:
        """Records that statements of SOQL find; of the recycle bin, too, where asked for.

        Raises:
            ContractError: `unknown_answer`, one found more than an answer holds.
            EngineError: as `SalesforceApi.composite`.
        """
        found: list[Mapping[str, Any]] = []
        path = self._api.settings.path("queryAll" if with_deleted else "query")
        for first in range(0, len(statements), PARTS_MAX):
            parts = [
                # All of it is encoded: `@{` would be a reference to another part.
                {"method": "GET", "url": f"{path}?q={quote(text, safe='')}"}
                for text in statements[first : first + PARTS_MAX]
            ]
            for body in await self._api.composite(parts):
                records = body.get("records") if isinstance(body, dict) else None
                if not isinstance(records, list) or body.get("done") is not True:
                    raise unfit("to a question has no whole list of records")
                found += [record for record in records if isinstance(record, dict)]
        return found

    async def of_keys(
        self,
        key: str,
        values: Sequence[str],
        *,
        case_matters: bool = False,
        with_deleted: bool = False,
    ) -> dict[str, list[str]]:
        """Ids of the records that have a key, by `folded` of it; a key without any is left out.

        Raises:
            EngineError: as `asked`.
        """
        select = f"SELECT Id, {key} FROM {self._api.settings.object_name}"
        ids: dict[str, list[str]] = {}
        wanted = {folded(value, case_matters=case_matters) for value in values}
        # As it is kept there.
        kept = list(dict.fromkeys(value.strip() for value in values))
        statements = list(questions(select, key, kept))
        for record in await self.asked(statements, with_deleted=with_deleted):
            name = folded(str(record.get(key, "")), case_matters=case_matters)
            # SOQL may find more: it compares text without regard to case.
            if name in wanted:
                ids.setdefault(name, []).append(record_id(record.get("Id")))
        return ids

    async def delete(self, ids: Sequence[str]) -> dict[str, Told]:
        """Delete records into the recycle bin; outcomes of those that are not gone."""
        told: dict[str, Told] = {}
        chunks = [ids[n : n + IDS_MAX] for n in range(0, len(ids), IDS_MAX)]
        path = self._api.settings.path("composite/sobjects")
        for first in range(0, len(chunks), PARTS_MAX):
            some = chunks[first : first + PARTS_MAX]
            parts = [
                {"method": "DELETE", "url": f"{path}?ids={','.join(chunk)}&allOrNone=false"}
                for chunk in some
            ]
            for chunk, body in zip(some, await self._api.composite(parts), strict=True):
                entries = entries_of(body, len(chunk))
                for record, entry in zip(chunk, entries, strict=True):
                    outcome = row_outcome(entry, ())
                    if outcome is not None and not _is_gone(outcome):
                        told[record] = outcome
        return told

    async def read(
        self, kind: str, ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, Mapping[str, Any]]:
        """Fields of some records, by id; those that are not there any more are left out."""
        found: dict[str, Mapping[str, Any]] = {}
        for first in range(0, len(ids), IDS_MAX):
            some = ids[first : first + IDS_MAX]
            body = orjson.dumps({"ids": some, "fields": ["Id", *fields]})
            entries = await self._api.entries("POST", f"composite/sobjects/{kind}", body, len(some))
            found |= {record_id(e.get("Id")): e for e in entries if e}
        return found

    async def write(
        self, method: str, records: Sequence[Mapping[str, Any]], fields: Sequence[str]
    ) -> list[Told | None]:
        """Make records (POST) or change them by their ids (PATCH); one outcome each."""
        told: list[Told | None] = []
        for first in range(0, len(records), IDS_MAX):
            some = list(records[first : first + IDS_MAX])
            body = orjson.dumps({"allOrNone": False, "records": some})
            entries = await self._api.entries(method, "composite/sobjects", body, len(some))
            told += [row_outcome(entry, fields) for entry in entries]
        return told


def folded(key: str, *, case_matters: bool = False) -> str:
    """A key as Salesforce tells it from others."""
    return key.strip() if case_matters else key.strip().lower()


def _is_gone(outcome: Told) -> bool:
    reason = outcome[1]
    return reason is not None and reason.vendor_code in ("ENTITY_IS_DELETED", "NOT_FOUND")
