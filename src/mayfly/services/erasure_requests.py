"""Requests for one person as they come in: JSON Lines of identifiers, or one OpenDSR 2.0 document.

What they say of the person is turned into keyed digests at once; no identifier is kept or told.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mayfly.domain.erasures import ErasureRequest, Regulation, RequestKind, due_at
from mayfly.domain.errors import ConfigError
from mayfly.services.suppress import Canonical, entries_of

INPUT_BYTES_MAX = 1_000_000
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TYPES = {"email": "email", "phone": "phone", "controller_customer_id": "primary_key"}
_FIELDS = {
    *("regulation", "subject_request_id", "subject_request_type", "submitted_time"),
    *("subject_identities", "extensions", "status_callback_urls", "api_version"),
}
_IDENTITY = {"identity_type", "identity_value", "identity_format"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Asked:
    """A request, and the person as the suppression list knows people: (kind, keyed digest)."""

    request: ErasureRequest
    entries: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True, repr=False)
class Named:
    """What an input says: its id, and the person as the suppression list knows people.

    `type` is of an OpenDSR document; empty where the input is lines.
    """

    request: str
    type: str
    regulation: Regulation
    received: datetime
    entries: Sequence[tuple[str, bytes]]


def named_in(
    content: bytes,
    *,
    types: Sequence[str],
    regulation: Regulation,
    now: datetime,
    key: bytes,
    canonical: Canonical,
) -> Named:
    """The person of an input; all its identifiers are one person's.

    Args:
        content: JSON Lines as `mayfly suppress add` takes them, or one OpenDSR document.
        types: what a document may ask for.
        regulation: of JSON Lines; a document names its own.
        now: received, where it does not say when.
        key: suppression key of the workspace.
        canonical: see `canonical_of`.

    Raises:
        ConfigError: `bad_line`, `bad_request`, `no_identifier`, `input_too_large`.
    """
    if len(content) > INPUT_BYTES_MAX:
        raise ConfigError("input_too_large", f"A request is at most {INPUT_BYTES_MAX:,} bytes.")
    document = _document(content)
    request, received, type_ = str(uuid.uuid4()), now, ""
    lines: Sequence[bytes] = content.splitlines()
    if document is not None:
        request, received, regulation = _head(document, types, now)
        type_, lines = document["subject_request_type"], _identities(document)
    entries = entries_of(lines, key=key, canonical=canonical)
    if not entries:
        raise ConfigError("no_identifier", "The request names nobody.", hint=_HINT)
    return Named(
        request=request, type=type_, regulation=regulation, received=received, entries=entries
    )


def asked_of(
    content: bytes,
    *,
    target: str,
    kind: RequestKind,
    regulation: Regulation,
    now: datetime,
    key: bytes,
    canonical: Canonical,
) -> Asked:
    """The request for an erasure, or that a person be suppressed, of an input.

    Args:
        content: see `named_in`, as of all others.
        target: that it is made under.
        kind: of JSON Lines; a document asks for an erasure.
        regulation: of JSON Lines.
        now: received, where it does not say when.
        key: suppression key of the workspace.
        canonical: see `canonical_of`.

    Raises:
        ConfigError: as `named_in`.
    """
    named = named_in(
        content,
        types=("erasure",),
        regulation=regulation,
        now=now,
        key=key,
        canonical=canonical,
    )
    request = ErasureRequest(
        request=named.request,
        target=target,
        kind=RequestKind.ERASURE if named.type else kind,
        regulation=named.regulation,
        received_at=named.received,
        due_at=due_at(named.regulation, named.received),
    )
    return Asked(request=request, entries=named.entries)


_HINT = 'Write {"kind": "email", "value": "…"}, one object a line, or one OpenDSR document.'


def _document(content: bytes) -> Mapping[str, Any] | None:
    """The OpenDSR document, None where the input is lines."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "subject_request_id" not in found:
        return None
    unknown = set(found) - _FIELDS
    if unknown:
        raise _bad("holds a key that OpenDSR 2.0 does not have")
    return found


def _head(
    document: Mapping[str, Any], types: Sequence[str], now: datetime
) -> tuple[str, datetime, Regulation]:
    request = document["subject_request_id"]
    if not isinstance(request, str) or not _UUID4.fullmatch(request):
        raise _bad("needs a subject_request_id that is a lower-case UUID of version 4")
    if document.get("subject_request_type") not in types:
        raise _bad(f"needs a subject_request_type of {', '.join(types)}")
    if document.get("regulation") not in tuple(Regulation):
        raise _bad("needs a regulation of gdpr, ccpa")
    return request, _submitted(document, now), Regulation(document["regulation"])


def _submitted(document: Mapping[str, Any], now: datetime) -> datetime:
    """When the time limit begins: a time to come would make it longer."""
    try:
        submitted = datetime.fromisoformat(document["submitted_time"])
    except (KeyError, TypeError, ValueError):
        raise _bad("needs a submitted_time in RFC 3339") from None
    if submitted.tzinfo is None:
        raise _bad("needs a submitted_time with a zone")
    return min(submitted.astimezone(UTC), now)


def _identities(document: Mapping[str, Any]) -> list[bytes]:
    """Its identities, and those under our extension, as lines."""
    found = document.get("subject_identities")
    if not isinstance(found, list) or not found:
        raise _bad("needs subject_identities")
    lines = [_line(identity) for identity in found]
    extensions = document.get("extensions", {})
    own = extensions.get("mayfly", {}) if isinstance(extensions, dict) else None
    more = own.get("subject_identities", []) if isinstance(own, dict) else None
    if not isinstance(more, list):
        raise _bad("has extensions of another form")
    return [*lines, *(json.dumps(line).encode() for line in more)]


def _line(identity: object) -> bytes:
    if not isinstance(identity, dict) or set(identity) != _IDENTITY:
        raise _bad("has an identity without type, value and format")
    if identity["identity_type"] not in _TYPES or identity["identity_format"] != "raw":
        raise _bad(f"has an identity that is not a raw one of {', '.join(_TYPES)}")
    kind = _TYPES[identity["identity_type"]]
    return json.dumps({"kind": kind, "value": identity["identity_value"]}).encode()


def _bad(what: str) -> ConfigError:
    return ConfigError("bad_request", f"The request {what}; nothing was changed.", hint=_HINT)
