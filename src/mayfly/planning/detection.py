"""Counts of what stands in columns, as SQL: numbers come out, and no value. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from mayfly.planning.sql.dialect import SqlDialect
from mayfly.privacy.detect import sql_forms as forms
from mayfly.privacy.detect.counted import counted_as
from mayfly.privacy.rules.emitters import EMITTERS, Emitter
from mayfly.privacy.rules.expression import DIGITS, SPACES

COLUMNS_PER_QUERY = 20
"""How many columns one statement counts: one scan for so many."""
VALUES = "values"
_CARD_DIGITS = 19
_IBAN_DIGITS, _PART = 72, 6
_ENCODED_MIN, _ENCODED_MAX = 12, 400
_PHONE_MAX = 40
# Where a digit stands here is what it counts for when it is doubled: 5 is 1 + 0.
_DOUBLED = "0516273849"
_CHECKED = (("d", forms.CARD), ("a", forms.IBAN))
_CARD_SIZE, _IBAN_SIZE = 13, 15


@dataclass(frozen=True, kw_only=True)
class CountedColumn:
    """A column that is counted.

    Args:
        sql: expression of its values.
        kind: their type.
    """

    sql: str
    kind: pa.DataType


def count_queries(
    dialect: str, sql: SqlDialect, relation: str, columns: Sequence[CountedColumn]
) -> Iterator[str]:
    """Statements of one row each, whose columns are called `COLUMN NUMBER_KIND`.

    Args:
        dialect: by its name.
        sql: its spelling.
        relation: FROM item.
        columns: in the order of their numbers.
    """
    listed = list(enumerate(columns))
    for start in range(0, len(listed), COLUMNS_PER_QUERY):
        some = listed[start : start + COLUMNS_PER_QUERY]
        counts = [
            f"count(CASE WHEN {condition} THEN 1 END) AS {sql.quote(f'c{n}_{kind}')}"
            for n, column in some
            for kind, condition in _conditions(EMITTERS[dialect](), sql, n, column.kind)
        ]
        yield f"SELECT {', '.join(counts)} FROM {_prepared(dialect, sql, relation, some)}"


def flag_query(dialect: str, sql: SqlDialect, relation: str, key: str, column: str) -> str:
    """Query of a text column's rows: its key, and 1 or 0 for each kind. For tests of ours alone."""
    emitter = EMITTERS[dialect]()
    some = [(0, CountedColumn(sql=sql.quote(column), kind=pa.string()))]
    flags = [
        f"CASE WHEN {condition} THEN 1 ELSE 0 END AS {sql.quote(kind)}"
        for kind, condition in _conditions(emitter, sql, 0, pa.string())
    ]
    items = _prepared(dialect, sql, relation, some, kept=key)
    return f"SELECT {sql.quote(key)}, {', '.join(flags)} FROM {items}"


def read_counts(row: Mapping[str, object]) -> dict[int, dict[str, int]]:
    """What a row of `count_queries` says: count by kind, by the column's number."""
    found: dict[int, dict[str, int]] = {}
    for name, value in row.items():
        number, _, kind = name.partition("_")
        found.setdefault(int(number[1:]), {})[kind] = int(str(value))
    return found


def _prepared(
    dialect: str,
    sql: SqlDialect,
    relation: str,
    columns: Sequence[tuple[int, CountedColumn]],
    kept: str = "",
) -> str:
    """FROM item of each column's text `t`, without blanks around it; where it may be one, the
    number of a card as `k`, and that of an account as `i`. Of a text that may hold some the first
    two are `ka`, `kb`, `ia` and `ib`, and what stands behind them is `kr` and `ir`.
    """
    emitter = EMITTERS[dialect]()
    first = [f"{_text(emitter, sql, column)} AS t{n}" for n, column in columns]
    steps: list[list[str]] = [[], [], [], []]
    for n, column in columns:
        kind = counted_as(column.kind)
        if kind in (pa.string(), pa.int64()):
            steps[0] += [f"{_bare(emitter, f't{n}', p)} AS {a}{n}" for a, p in _CHECKED]
            steps[1] += [
                _card(emitter, f"d{n}") + f" AS k{n}",
                _account(emitter, f"a{n}") + f" AS i{n}",
            ]
        if kind == pa.string():
            for part in (_CARDS, _ACCOUNTS):
                for number, added in enumerate(part.steps(emitter, n)):
                    steps[number] += added
    item, names = relation, [sql.quote(kept)] if kept else []
    for depth, made in enumerate((first, *steps)):
        listed = ", ".join([*names, *made])
        item = f"(SELECT {listed} FROM {item}{sql.fence}) AS mf_{depth}"
        names += [name.rpartition(" AS ")[2] for name in made]
    return item


@dataclass(frozen=True, kw_only=True)
class _Within:
    """Numbers of one kind that stand within longer texts: the first two are looked at.

    Args:
        letter: that their columns begin with.
        size: of the shortest, in signs.
        whole: one that is all of a text.
        place: one with what may stand around it.
        number: one by itself.
        passed: of a number that was looked at, signs that no other begins with; all where None.
        digits: a number without separators as digits of one length.
    """

    letter: str
    size: int
    whole: str
    place: str
    number: str
    passed: int | None
    digits: Callable[[Emitter, str], str]

    def steps(self, emitter: Emitter, n: int) -> Iterator[list[str]]:
        """Columns of each select, over those of the one before it."""
        x, text = self.letter, f"t{n}"
        longer = f"NOT {emitter.full_match(text, self.whole)}"
        yield [f"CASE WHEN {longer} THEN {self._found(emitter, text)} END AS {x}m{n}"]
        first, second, rest = f"{x}m{n}", f"{x}n{n}", f"{x}q{n}"
        yield [f"{self._behind(emitter, text, first)} AS {rest}"]
        yield [f"{self._found(emitter, rest)} AS {second}"]
        yield [
            f"{self._number(emitter, first)} AS {x}a{n}",
            f"{self._number(emitter, second)} AS {x}b{n}",
            f"{self._behind(emitter, rest, second)} AS {x}r{n}",
        ]

    def _found(self, emitter: Emitter, text: str) -> str:
        """The first number in a text; null where there is none."""
        inner = emitter.extract(emitter.extract(text, self.place), self.number)
        return f"CASE WHEN {emitter.length(text)} >= {self.size} THEN nullif({inner}, '') END"

    def _behind(self, emitter: Emitter, text: str, number: str) -> str:
        """A number is of ASCII: its bytes are its signs."""
        step = emitter.length(number) if self.passed is None else str(self.passed)
        return f"substr({text}, {emitter.found(text, number)} + {step})"

    def _number(self, emitter: Emitter, number: str) -> str:
        bare = emitter.upper(emitter.remove(number, " -", looked_at=number))
        return f"CASE WHEN {number} IS NOT NULL THEN {self.digits(emitter, bare)} END"

    def condition(self, emitter: Emitter, n: int, check: Callable[[str], str]) -> str:
        """Whether one of the first two passes a check, or there is a third."""
        x = self.letter
        passed = " OR ".join(_where(f"{x}{i}{n} IS NOT NULL", check(f"{x}{i}{n}")) for i in "ab")
        third = _where(
            f"{emitter.length(f'{x}r{n}')} >= {self.size}",
            emitter.contains(f"{x}r{n}", self.place),
        )
        return f"({passed} OR {third})"


def _bare(emitter: Emitter, text: str, pattern: str) -> str:
    """A text of a form, without separators and in capitals."""
    likely = f"{emitter.length(text)} BETWEEN 13 AND 70 AND {emitter.full_match(text, pattern)}"
    stripped = emitter.upper(emitter.remove(text, " .-", looked_at=text))
    return f"CASE WHEN {likely} THEN {stripped} END"


def _card(emitter: Emitter, digits: str) -> str:
    issued = emitter.full_match(digits, forms.CARD_ISSUED)
    return f"CASE WHEN {issued} THEN {_padded(emitter, digits, _CARD_DIGITS)} END"


def _account(emitter: Emitter, signs: str) -> str:
    sized = emitter.full_match(signs, forms.IBAN_SIZED)
    return f"CASE WHEN {sized} THEN {_account_digits(emitter, signs)} END"


def _account_digits(emitter: Emitter, signs: str) -> str:
    """The country and its check digits come last, and each letter is two digits."""
    moved = emitter.joined(f"substr({signs}, 5)", f"substr({signs}, 1, 4)")
    return _padded(emitter, emitter.numbered(moved), _IBAN_DIGITS)


def _padded(emitter: Emitter, text: str, size: int) -> str:
    """With zeros before it; no text is longer than that."""
    zeros = emitter.joined(emitter.literal("0" * size), text)
    return f"substr({zeros}, {emitter.length(text)} + 1)"


def _text(emitter: Emitter, sql: SqlDialect, column: CountedColumn) -> str:
    what = counted_as(column.kind)
    if what == pa.binary():
        return sql.hex(column.sql)
    if what is None:
        return f"CASE WHEN {column.sql} IS NOT NULL THEN 'x' END"
    if pa.types.is_nested(column.kind):
        return sql.as_text(sql.render(column.sql, column.kind))
    return emitter.strip(sql.as_text(column.sql), SPACES)


def _conditions(
    emitter: Emitter, sql: SqlDialect, number: int, kind: pa.DataType
) -> Iterator[tuple[str, str]]:
    text = f"t{number}"
    yield VALUES, f"{emitter.length(text)} > 0"
    what = counted_as(kind)
    if what == pa.int64():
        yield from _of_numbers(emitter, sql, number)
    if what in (pa.binary(), pa.string()):
        yield from _of_digests(emitter, text)
        yield "encoded_hex", _encoded(emitter, text, forms.EMAIL_HEX)
    if what == pa.string():
        yield from _of_addresses(emitter, text)
        yield from _of_phones(emitter, text)
        yield from _of_numbers(emitter, sql, number)
        yield from _of_accounts(emitter, sql, number)
        yield from _of_forms(emitter, text)


def _where(condition: str, then: str) -> str:
    """Both; the second, which costs more, is worked out where the first holds alone."""
    return f"CASE WHEN {condition} THEN {then} ELSE 1 = 0 END"


def _of_digests(emitter: Emitter, text: str) -> Iterator[tuple[str, str]]:
    for name, digest in forms.HASHES.items():
        matched = emitter.full_match(text, digest.pattern)
        yield f"hash_{name}", _where(_of_size(emitter, text, digest), matched)
    bare = emitter.full_match(text, forms.UUID_BARE)
    yield "uuid_bare", _where(f"{emitter.length(text)} = 32", bare)


def _of_size(emitter: Emitter, text: str, digest: forms.Digest) -> str:
    if digest.sizes:
        return f"{emitter.length(text)} IN ({', '.join(map(str, digest.sizes))})"
    if digest.start:
        return f"{emitter.position(text, digest.start)} = 1"
    return f"{emitter.length(text)} >= {forms.HASH_SIZE_MIN}"


def _of_addresses(emitter: Emitter, text: str) -> Iterator[tuple[str, str]]:
    marked = f"{emitter.position(text, '@')} > 0"
    picture = emitter.contains(text, forms.RETINA)
    whole = emitter.full_match(text, forms.EMAIL)
    yield "email", _where(marked, f"({whole} AND NOT {picture})")
    within = emitter.contains(text, forms.EMAIL_WITHIN)
    message = emitter.full_match(text, forms.MESSAGE_ID)
    rest = f"({within} AND NOT {whole} AND NOT {picture} AND NOT {message})"
    yield "email_within", _where(marked, rest)
    yield "email_spelt", emitter.contains(text, forms.EMAIL_SPELT)
    percent = f"{emitter.position(text, '%40')} > 0"
    yield "encoded_percent", _where(percent, emitter.contains(text, forms.EMAIL_PERCENT))
    yield "encoded_base64", _encoded(emitter, text, forms.EMAIL_BASE64)


def _encoded(emitter: Emitter, text: str, pattern: str) -> str:
    size = f"{emitter.length(text)} BETWEEN {_ENCODED_MIN} AND {_ENCODED_MAX}"
    return _where(size, emitter.full_match(text, pattern))


def _of_phones(emitter: Emitter, text: str) -> Iterator[tuple[str, str]]:
    short = f"{emitter.length(text)} BETWEEN 7 AND {_PHONE_MAX}"
    plus = emitter.full_match(text, forms.PHONE_PLUS)
    date = emitter.full_match(text, forms.DATE)
    apart = f"({emitter.full_match(text, forms.PHONE_SET)} AND NOT {date})"
    yield "phone_plus", _where(short, plus)
    yield "phone_set", _where(short, apart)
    plus_within = emitter.contains(text, forms.PHONE_WITHIN)
    set_within = emitter.contains(text, forms.PHONE_SET_WITHIN)
    whole = _where(short, f"({plus} OR {apart} OR {date})")
    within = f"(({plus_within} OR {set_within}) AND NOT {whole})"
    yield "phone_within", _where(f"{emitter.length(text)} >= 9", within)
    yield "phone_digits", _where(short, emitter.full_match(text, forms.PHONE_DIGITS))
    yield "digits_set", _where(short, emitter.full_match(text, forms.DIGITS_SET))
    yield "date", _where(short, date)


def _of_numbers(emitter: Emitter, sql: SqlDialect, number: int) -> Iterator[tuple[str, str]]:
    text, card = f"t{number}", f"k{number}"
    yield "credit_card", _where(f"{card} IS NOT NULL", _luhn(emitter, sql, card))
    yield "number", emitter.full_match(text, forms.NUMBER)
    long = emitter.full_match(text, "[1-9][0-9]{9,14}")
    yield "number_long", _where(f"{emitter.length(text)} BETWEEN 10 AND 15", long)


def _luhn(emitter: Emitter, sql: SqlDialect, digits: str) -> str:
    terms = []
    for place in range(_CARD_DIGITS):
        counts = _DOUBLED if (_CARD_DIGITS - 1 - place) % 2 else DIGITS
        terms.append(emitter.found(emitter.literal(counts), f"substr({digits}, {place + 1}, 1)"))
    total = f"{' + '.join(terms)} - {_CARD_DIGITS}"
    return f"{sql.modulo(total, 10)} = 0"


def _of_accounts(emitter: Emitter, sql: SqlDialect, number: int) -> Iterator[tuple[str, str]]:
    account = f"i{number}"
    yield "iban", _where(f"{account} IS NOT NULL", _mod97(emitter, sql, account))
    within = _ACCOUNTS.condition(emitter, number, partial(_mod97, emitter, sql))
    yield "iban_within", _where(f"{account} IS NULL", within)
    yield "card_within", _CARDS.condition(emitter, number, partial(_luhn, emitter, sql))


def _mod97(emitter: Emitter, sql: SqlDialect, account: str) -> str:
    """A sum that a small whole number takes, as some parsers are not deep: each part by what is
    left of its place. No text but of digits alone gets here.
    """
    parts = [
        f"{pow(10, _IBAN_DIGITS - start - _PART, 97)} * "
        + emitter.integer(f"substr({account}, {start + 1}, {_PART})")
        for start in range(0, _IBAN_DIGITS, _PART)
    ]
    return f"{sql.modulo(' + '.join(parts), 97)} = 1"


def _of_forms(emitter: Emitter, text: str) -> Iterator[tuple[str, str]]:
    size = emitter.length(text)
    yield "ip_address", _where(f"{size} BETWEEN 2 AND 200", emitter.full_match(text, forms.IP))
    yield "ip_far", _where(f"{size} BETWEEN 2 AND 200", emitter.contains(text, forms.IP_FAR))
    yield "uuid", _where(f"{size} IN (36, 38)", emitter.full_match(text, forms.UUID))
    yield "mac", _where(f"{size} = 17", emitter.full_match(text, forms.MAC))
    url = emitter.contains(text, forms.URL)
    yield "url", url
    yield "url_person", _where(url, emitter.contains(text, forms.URL_PERSON))
    yield "national_id", _where(f"{size} BETWEEN 9 AND 24", _person(emitter, text))
    yield "signs", _where(f"{size} BETWEEN 5 AND 24", emitter.full_match(text, forms.SIGNS))
    yield "sentence", emitter.contains(text, forms.SENTENCE)
    yield "json", emitter.full_match(text, forms.JSON)


def _person(emitter: Emitter, text: str) -> str:
    return emitter.full_match(text, forms.NATIONAL)


_CARDS = _Within(
    letter="k",
    size=_CARD_SIZE,
    whole=forms.CARD,
    place=forms.CARD_WITHIN,
    number=forms.CARD_NUMBER,
    passed=None,
    digits=partial(_padded, size=_CARD_DIGITS),
)
_ACCOUNTS = _Within(
    letter="i",
    size=_IBAN_SIZE,
    whole=forms.IBAN_SIZED,
    place=forms.IBAN_WITHIN,
    number=forms.IBAN_NUMBER,
    passed=2,
    digits=_account_digits,
)
