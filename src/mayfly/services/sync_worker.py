"""The worker's part of a plan: what needs a key, or a script that SQL may not hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from mayfly.crypto.keyed import keyed_digests
from mayfly.planning.spec import SuppressionColumn, SuppressionKind
from mayfly.privacy.rules import Rule, canonical_rule, worker_canonical, worker_digest

_DIGEST = pa.binary(32)


@dataclass(frozen=True, kw_only=True, repr=False)
class SyncWorker:
    """Implements `PlanWorker` for one sync. Keys stay in this process.

    Args:
        pseudonym_key: of workspace and destination; None where no field is pseudonymised.
        suppression_key: of the workspace.
        suppressed_entries: keyed digests on the list, 32 bytes each.
        rules: destination field to match-hash rule.
        default_countries: destination field or model column to configured country.
    """

    pseudonym_key: Callable[[], bytes]
    suppression_key: Callable[[], bytes]
    suppressed_entries: pa.Array
    rules: Mapping[str, Rule]
    default_countries: Mapping[str, str]

    @property
    def suppresses(self) -> bool:
        """See `PlanWorker.suppresses`."""
        return len(self.suppressed_entries) > 0

    def suppressed(self, kind: SuppressionKind, digests: pa.Array) -> pa.Array:
        """See `PlanWorker.suppressed`."""
        del kind  # one list: the canonical form already names the kind by its shape
        if not len(self.suppressed_entries):
            return pa.repeat(pa.scalar(False), len(digests))
        keyed = keyed_digests(self.suppression_key(), digests.cast(_DIGEST))
        entries = self.suppressed_entries.cast(_DIGEST)
        return pa.compute.fill_null(pa.compute.is_in(keyed, value_set=entries), False)

    def pseudonyms(self, field: str, digests: pa.Array) -> pa.Array:
        """See `PlanWorker.pseudonyms`: one key per destination, so that fields can be joined."""
        del field
        return keyed_digests(self.pseudonym_key(), digests.cast(_DIGEST))

    def digests(self, field: str, values: pa.Array, countries: pa.Array | None) -> pa.Array:
        """See `PlanWorker.digests`."""
        return worker_digest(
            self.rules[field],
            values,
            default_country=self.default_countries.get(field),
            countries=countries,
        )

    def canonical(
        self, item: SuppressionColumn, values: pa.Array, countries: pa.Array | None
    ) -> pa.Array:
        """See `PlanWorker.canonical`."""
        return worker_canonical(
            canonical_rule(item.kind, item.version),
            values,
            default_country=self.default_countries.get(item.column),
            countries=countries,
        )
