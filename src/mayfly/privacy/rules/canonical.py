"""The platform-independent forms of identifiers, by which suppression compares.

A list holds keyed digests only, so no entry can be brought to a newer form: each version stays for
as long as a list may hold entries that were made by it. A new form is added at the end with the
next number, and none that is here is ever changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mayfly.domain.errors import PolicyError
from mayfly.privacy.rules.catalogue import Rule, one_mailbox_email, trimmed_email

CanonicalKind = Literal["email", "phone"]
CANONICAL_KINDS: tuple[CanonicalKind, ...] = ("email", "phone")

CANONICAL: dict[CanonicalKind, Sequence[Rule]] = {
    "email": (
        trimmed_email("canonical"),
        # Google and UID2 match all spellings of one Gmail address.
        replace(one_mailbox_email("canonical"), version=2),
    ),
    # Its digits; the canonical digest is that of `+` and the digits.
    "phone": (Rule(platform="canonical", field="phone", phone="digits", bare_nanp=True),),
}


def canonical_rules(kind: CanonicalKind) -> Sequence[Rule]:
    """All versions of a kind's canonical form, the newest last."""
    return CANONICAL[kind]


def canonical_rule(kind: CanonicalKind, version: int | None = None) -> Rule:
    """One version of a kind's canonical form, the newest where none is named.

    Raises:
        PolicyError: `suppression_newer`, a list was made by a form this release does not know.
    """
    rules = CANONICAL[kind]
    if version is None:
        return rules[-1]
    for rule in rules:
        if rule.version == version:
            return rule
    raise PolicyError(
        "suppression_newer",
        f"The suppression list holds entries of kind {kind} made by version {version} of its "
        "form, which this release does not know: who is on it cannot be told.",
        hint="Use a release at least as new as the one that added them.",
    )
