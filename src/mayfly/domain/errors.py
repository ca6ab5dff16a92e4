"""The errors Mayfly raises, by what the caller should do.

EngineError
├── ConfigError      an operator must change a setting       stop           exit 1
│   └── UsageError   the command line itself is wrong        stop           exit 64
├── PolicyError      a privacy rule forbids it               never retry    exit 3
├── TransientError   the other side is away or busy          retry          exit 4
├── ContractError    the other side broke its own contract   stop, report   exit 1
│   └── RequestRefusedError  or a row of the request did     send parts     exit 1
└── IntegrityError   ciphertext, ledger or state fails       stop, alert    exit 1

A message names what was expected, where, and what to do. It never carries a value that came
from a row, a credential, or a text that another program wrote: ids, counts and codes only.
One record refused is an outcome, not an error.
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Base of every handled failure.

    Args:
        code: machine-readable name in snake_case, stable across releases.
        message: one sentence: what was expected and what came.
        hint: what the reader can do now; empty where nothing can be done.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.hint = hint

    def to_dict(self) -> dict[str, str]:
        """The error as the JSON outputs print it."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class ConfigError(EngineError):
    """An operator must change a setting before this can work."""


class UsageError(ConfigError):
    """The command line is wrong."""

    exit_code: ClassVar[int] = 64


class PolicyError(EngineError):
    """A privacy rule forbids the act; retrying cannot help."""

    exit_code: ClassVar[int] = 3


class TransientError(EngineError):
    """The other side is away or busy; the same call may succeed later.

    Args:
        retry_after_seconds: the earliest moment the other side named, None where it named none.
    """

    exit_code: ClassVar[int] = 4

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class ContractError(EngineError):
    """The other side answered in a way its own contract does not allow."""


class RequestRefusedError(ContractError):
    """A request was refused as a whole: it may be wrong itself, or one of its rows is.

    Where a part of its rows is taken, rows are to blame; where none is, the request is.
    """


class IntegrityError(EngineError):
    """Ciphertext, ledger or state does not verify."""
