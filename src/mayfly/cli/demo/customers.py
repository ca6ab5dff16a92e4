"""Synthetic customers: reserved domains, and numbers from ranges kept for drama where there are.

Everything is made by SQL from the row number, so that the same row is the same person each time.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

_FIRST = "'Ana','Bo','Chloé','Dörte','Élodie','Finn','Grace','Hugo','Inès','Jürgen','Kira','李明'"
_LAST = (
    "'Álvarez','Baker','Côté','Dubois','Evans','Fischer','García','Hughes','Ivanov','Jansen',"
    "'Keller','O''Connor','Martin','Nguyen','Owens','Schäfer'"
)

_CREATE = f"""
CREATE TABLE customers AS
SELECT
    i AS customer_id,
    CASE
        WHEN i % 50 = 0 THEN sha256('person' || i || '@example.com')
        WHEN i % 11 = 0 THEN '  Person' || i || '@Example.COM '
        WHEN i % 97 = 0 THEN 'not an address'
        WHEN i % 13 = 0 THEN NULL
        ELSE 'person' || i || '@example.' || ['com', 'org', 'net'][1 + i % 3]
    END AS email,
    CASE country
        WHEN 'FR' THEN '06 39 98 ' || lpad((i // 100 % 100)::VARCHAR, 2, '0')
            || ' ' || lpad((i % 100)::VARCHAR, 2, '0')
        WHEN 'GB' THEN '+44 7700 900' || lpad((i % 1000)::VARCHAR, 3, '0')
        WHEN 'US' THEN '(' || (200 + i % 700) || ') 555-01' || lpad((i % 100)::VARCHAR, 2, '0')
        WHEN 'DE' THEN '030 23125' || lpad((i % 1000)::VARCHAR, 3, '0')
        ELSE NULL
    END AS phone,
    [{_FIRST}][1 + i % 12] AS first_name,
    [{_LAST}][1 + i % 16] AS last_name,
    ['Lyon', 'Leeds', 'Austin', 'Köln', 'Zürich'][1 + i % 5] AS city,
    ['69001', 'LS1 4AP', '73301-0001', '50667', '8001'][1 + i % 5] AS postal_code,
    country,
    'L-' || lpad(i::VARCHAR, 8, '0') AS loyalty_no,
    (i * 37 % 100000)::DECIMAL(12, 2) / 7 AS lifetime_value,
    TIMESTAMP '2026-01-01' + INTERVAL (i % 1000000) SECOND AS updated_at,
    CASE WHEN i % 10 < 7 THEN TRUE WHEN i % 10 < 9 THEN FALSE END AS ads_opt_in,
    i % 20 > 0 AS service_opt_in
FROM (SELECT i, ['FR', 'GB', 'US', 'DE', 'CH'][1 + i % 5] AS country FROM range({{rows}}) AS r(i))
"""


def make_warehouse(path: Path, rows: int) -> None:
    """A new DuckDB file with table `customers`, readable by its owner only."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        # Uncompressed, so that the scan of the demo finds what lies in it.
        connection.execute("SET force_compression = 'uncompressed'")
        connection.execute(_CREATE.format(rows=int(rows)))
    os.chmod(path, 0o600)


def change_some(path: Path) -> tuple[int, int]:
    """Change one per cent of the customers and withdraw consent of half a per cent; how many."""
    with duckdb.connect(str(path)) as connection:
        changed = connection.execute(
            "UPDATE customers SET email = 'moved.' || customer_id || '@example.org', "
            "updated_at = updated_at + INTERVAL 1 DAY WHERE customer_id % 100 = 1"
        ).fetchone()
        withdrawn = connection.execute(
            "UPDATE customers SET ads_opt_in = FALSE WHERE customer_id % 200 = 3 AND ads_opt_in"
        ).fetchone()
    return int((changed or (0,))[0]), int((withdrawn or (0,))[0])


def change_few(path: Path) -> int:
    """Change a few more customers, for the run that meets a broken platform; how many."""
    with duckdb.connect(str(path)) as connection:
        changed = connection.execute(
            "UPDATE customers SET email = 'again.' || customer_id || '@example.net' "
            "WHERE customer_id % 100 = 2"
        ).fetchone()
    return int((changed or (0,))[0])
