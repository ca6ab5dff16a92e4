"""Fields of a mapping that say what a person agreed to, and are no property of their record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SyncSettings


@dataclass(frozen=True, kw_only=True)
class ConsentFields:
    """How a connector calls them.

    Args:
        vendor: for messages.
        noun: what the vendor has of a person, such as `subscription`: the fields begin with it
            and a dot, and the destination declares them under its plural.
    """

    vendor: str
    noun: str

    @property
    def prefix(self) -> str:
        """What names of such fields begin with."""
        return f"{self.noun}."

    def require_declared(self, name: str, declared: Collection[str], *, hint: str) -> None:
        """Refuse one that the destination does not know; any other field passes.

        Args:
            name: of a field of the mapping.
            declared: those of the destination, without the prefix.
            hint: what to declare.

        Raises:
            ConfigError: `unknown_…`.
        """
        if name.startswith(self.prefix) and name.removeprefix(self.prefix) not in declared:
            raise ConfigError(
                f"unknown_{self.noun}",
                f"The mapping names {name}, which the destination does not declare.",
                hint=hint,
            )

    def require_truth_value(self, name: str, kind: pa.DataType) -> None:
        """Refuse one whose column does not say yes or no; any other field passes.

        Raises:
            ConfigError: `…_type`.
        """
        if name.startswith(self.prefix) and not pa.types.is_boolean(kind):
            raise ConfigError(
                f"{self.noun}_type",
                f"{name} takes true, false or nothing, and its column is no truth value.",
                hint="Make one in the model's SQL: true where the person agreed, false where they "
                "refused, null where nobody asked.",
            )

    def require_refusals(self, sync: SyncSettings) -> None:
        """Refuse to tell of a purpose in a sync that sends nobody who refuses it.

        Raises:
            ConfigError: `refusals_kept_back`.
        """
        if sync.purpose is not None and f"{self.prefix}{sync.purpose}" in sync.mapping:
            raise ConfigError(
                "refusals_kept_back",
                f"The sync sends only who agreed to {sync.purpose}, and is to tell {self.vendor} "
                "who refuses it.",
                hint=f"Leave `purpose` out of the sync that tells of {self.noun}s.",
            )
