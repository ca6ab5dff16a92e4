"""People who do not exist, by the classes and types of a model's columns.

Addresses, numbers and names are of ranges that are reserved for examples (RFC 2606, RFC 5737, and
555-0100 to 555-0199 of the North American numbering plan), so that nobody is ever meant.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from mayfly.domain.errors import UsageError
from mayfly.domain.settings import ColumnSettings
from mayfly.ports.source import ColumnInfo
from mayfly.privacy.detect import shown_name

ROWS_MAX = 100
_MOMENT = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)

_TEXTS = {
    "email": "mayfly-test-{n}@example.com",
    "phone": "+1202555{phone:04}",
    "first_name": "Test{letters}",
    "last_name": "Mayfly{letters}",
    "full_name": "Test{letters} Mayfly",
    "street_address": "{n} Example Street",
    "city": "Berlin",
    "postal_code": "10115",
    "region": "BE",
    "country": "DE",
    "date_of_birth": "1990-01-01",
    "gender": "f",
    "ip_address": "192.0.2.{n}",
    "device_id": "00000000-0000-4000-8000-{n:012}",
    "uuid": "00000000-0000-4000-8000-{n:012}",
    "url_pii": "https://example.com/{n}",
    "geo": "0,0",
}
_OTHER = "mayfly-test-{n}"


def synthetic_rows(
    columns: Sequence[ColumnInfo],
    declared: Mapping[str, ColumnSettings],
    rows: int,
    samples: Mapping[str, str] | None = None,
    *,
    now: dt.datetime = _MOMENT,
) -> pa.Table:
    """A table of so many people.

    Args:
        columns: of the model.
        declared: what the project files say of them.
        rows: at most 100: so many numbers are reserved.
        samples: by column, see `FieldSpec.sample`.
        now: the moment that these speak of.

    Raises:
        UsageError: `no_synthetic_value`, a column's type has none.
    """
    made = {}
    for info in columns:
        column = declared.get(info.name, ColumnSettings(name=info.name))
        sample = (samples or {}).get(info.name)
        values = [
            _value(column, info, n)
            if sample is None or column.values
            else _of_sample(info.arrow_type, sample, n, now)
            for n in range(rows)
        ]
        try:
            made[info.name] = pa.array(values, info.arrow_type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            raise UsageError(
                "no_synthetic_value",
                f"For column {shown_name(info.name)} of type {shown_name(info.sql_type)} "
                "there is no synthetic value.",
                hint="Choose a sync with `--sync` whose model has no such column.",
            ) from None
    return pa.table(made)


def _value(column: ColumnSettings, info: ColumnInfo, n: int) -> Any:
    kind = info.arrow_type
    if column.values:
        return column.values[n % len(column.values)]
    if pa.types.is_boolean(kind):
        return True
    if column.cls == "date_of_birth" and not _is_text(kind):
        return _moment(kind)
    if _is_number(kind):
        # Below zero, where keys and numbers of a person in one's own tables seldom are.
        number = column.minimum if column.minimum is not None else -1 - n
        return _number(kind, number)
    if pa.types.is_temporal(kind):
        return _moment(kind)
    text = _TEXTS.get(column.cls or "", _OTHER).format(n=n, phone=100 + n, letters=_letters(n))
    if column.cls == "hashed":
        text = hashlib.sha256(text.encode()).hexdigest()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return text.encode()
    return text if _is_text(kind) else None


def _of_sample(kind: pa.DataType, sample: str, n: int, now: dt.datetime) -> Any:
    text = sample.format(n=n, now=int(now.timestamp()))
    if pa.types.is_boolean(kind):
        return text == "true"
    if _is_number(kind):
        return _number(kind, float(text))
    if pa.types.is_temporal(kind):
        return _moment(kind, now)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return text.encode()
    return text if _is_text(kind) else None


def _number(kind: pa.DataType, number: float) -> Any:
    if pa.types.is_decimal(kind):
        return Decimal(int(number))
    if pa.types.is_floating(kind):
        return float(number)
    return abs(int(number)) if pa.types.is_unsigned_integer(kind) else int(number)


def _moment(kind: pa.DataType, moment: dt.datetime = _MOMENT) -> Any:
    if pa.types.is_date(kind):
        return moment.date()
    if pa.types.is_timestamp(kind):
        return moment.replace(tzinfo=dt.UTC if kind.tz else None)
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(is_kind(kind) for is_kind in kinds)


def _letters(n: int) -> str:
    """A number as letters: digits leave names when they are normalised."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(n))
