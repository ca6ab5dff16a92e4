"""How fast the parts of privacy are alone: match hashes, national phones, guard, detection."""

from __future__ import annotations

import hashlib
import time

import duckdb
import pyarrow as pa

from mayfly.planning.shared import Shared
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.privacy.detect import classify_table
from mayfly.privacy.guard import guard_column
from mayfly.privacy.rules import rule_for, sql_digest, worker_digest

THREADS = 2
_FIELDS = ("email", "phone", "first_name", "last_name", "city")
# Every e-mail and phone is another, names and cities come again: as in a table of customers.
_PEOPLE = (
    "CREATE TABLE people AS SELECT ' Person' || i || '@Example.com' AS x0, "
    "'+33 6 ' || lpad((i % 100000000)::VARCHAR, 8, '0') AS x1, "
    "'Anne-' || chr(65 + (i % 26)::INTEGER) || (i % 5000) AS x2, 'Müller ' || (i % 9000) AS x3, "
    "'Saint-Denis ' || (i % 3000) AS x4 FROM range({rows}) AS r(i)"
)


def hashed_rows(rows: int) -> float:
    """Rows a second of which SQL normalises and hashes five fields, as the planner writes it."""
    parts = Shared(DuckdbDialect.fence, needed="TRUE")
    made = [
        sql_digest(rule_for("meta", field), "duckdb", f"x{i}", default_country=None)
        for i, field in enumerate(_FIELDS)
    ]
    parts.add_parts(sql.shared for sql in made)
    counts = ", ".join(f"count({parts.named(sql.digest)})" for sql in made)
    with duckdb.connect(config={"threads": str(THREADS)}) as connection:
        connection.execute(_PEOPLE.format(rows=int(rows)))
        query = f"SELECT {counts} FROM ({parts.over('SELECT * FROM people')}) AS w"
        started = time.perf_counter()
        connection.execute(query).fetchall()
        return rows / (time.perf_counter() - started)


def national_phones(rows: int) -> float:
    """Distinct national numbers a second that the worker normalises and hashes, on one core."""
    numbers = pa.array([f"06 {n // 10**6:02d} {n % 10**6:06d}" for n in range(rows)])
    started = time.perf_counter()
    worker_digest(rule_for("meta", "phone"), numbers, default_country="FR")
    return rows / (time.perf_counter() - started)


def guarded_values(rows: int) -> float:
    """Short values a second that the guard looks through: words, numbers, postcodes, dates."""
    values = [
        text
        for n in range(rows // 4)
        for text in (
            f"Lyon{n % 977}",
            str(n * 7919),
            f"{n % 90000 + 10000}",
            f"2026-11-{n % 28:02d}",
        )
    ]
    column = pa.array(values)
    started = time.perf_counter()
    guard_column(column)
    return len(values) / (time.perf_counter() - started)


def detected_values(rows: int) -> float:
    """Values a second of one core's time that the detection looks at: addresses, telephones, names,
    digests, notes and ids, hardly any twice.
    """
    each = rows // 6
    columns = {
        "contact": [f"person{n}@example.com" for n in range(each)],
        "call": [f"+33 1 99 00 {n // 100 % 100:02d} {n % 100:02d}" for n in range(each)],
        "who": [f"Anna {chr(65 + n % 26)}. Müller" for n in range(each)],
        "digest": [hashlib.sha256(str(n).encode()).hexdigest() for n in range(each)],
        "remark": [f"Parcel {n} was left at the door of house {n % 90}" for n in range(each)],
        "ref": [f"ORD-{n:08d}" for n in range(each)],
    }
    table = {name: pa.array(values) for name, values in columns.items()}
    # Lists of names are read when the first column is looked at.
    classify_table({"who": table["who"].slice(0, 100)})
    started = time.process_time()
    classify_table(table)
    return each * len(table) / (time.process_time() - started)
