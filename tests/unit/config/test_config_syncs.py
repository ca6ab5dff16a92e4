"""Models and syncs: consent, keys, tables, modes, and what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import Faults, check, swap, to_crm

_BOUND = "column: ads_opt_in, equals: true"
_TABLE = "{name: consents, subject: cid, purpose: p, state: s, granted: [given], time: at}"
FAULTS: Faults = {
    "equals and in": (
        swap("equals: true,", "equals: true, in: [true],"),
        19,
        47,
        "consent_values",
        "one of equals and in",
    ),
    "neither equals nor in": (
        swap("equals: true, ", ""),
        19,
        7,
        "consent_values",
        "one of equals and in",
    ),
    "consent without a column": (
        swap("column: ads_opt_in, ", ""),
        19,
        7,
        "missing_key",
        "`column`",
    ),
    "values without a column": (
        swap(_BOUND, "equals: true, table: " + _TABLE),
        19,
        13,
        "consent_values",
        "without column",
    ),
    "a table of two dots": (
        swap(_BOUND, "table: " + _TABLE.replace("name: consents", "name: a.b.c")),
        19,
        27,
        "bad_table",
        "schema.name",
    ),
    "an end for ever without one": (
        swap(_BOUND, "table: " + _TABLE.replace("time: at", "time: at, without_end: true")),
        19,
        101,
        "missing_key",
        "`valid_until`",
    ),
    "sources without a source": (
        swap(_BOUND, "table: " + _TABLE.replace("time: at", "time: at, sources: [web]")),
        19,
        101,
        "missing_key",
        "`source`",
    ),
    "a state that grants and does not": (
        swap(_BOUND, "table: " + _TABLE.replace("time: at", "time: at, unknown: [given]")),
        19,
        101,
        "consent_values",
        "both granted and unknown",
    ),
    "no schedule": (
        swap("schedule: every 15 minutes", "schedule: hourly"),
        34,
        15,
        "bad_schedule",
        "every 15 minutes",
    ),
    "a zone that there is not": (
        swap("schedule: every 15 minutes", "schedule: 0 6 * * * Europe/Pari"),
        34,
        15,
        "bad_schedule",
        "Europe/Paris",
    ),
    "no length of time": (
        swap("schedule: every 15 minutes", "recheck_after: 15 minutes"),
        34,
        20,
        "bad_format",
        "recheck_after",
    ),
    "more than a day": (
        swap("schedule: every 15 minutes", "recheck_after: 25h"),
        34,
        20,
        "bad_format",
        "recheck_after",
    ),
    "no such source": (
        swap("source: shop", "source: shp"),
        10,
        13,
        "unknown_source",
        "Did you mean shop?",
    ),
    "no such model": (
        swap("model: customers", "model: custmers"),
        28,
        12,
        "unknown_model",
        "Did you mean customers?",
    ),
    "no such destination": (
        swap("destination: meta", "destination: mta"),
        29,
        18,
        "unknown_destination",
        "Did you mean meta?",
    ),
    "no such column": (
        swap("EMAIL: email", "EMAIL: emial"),
        33,
        22,
        "unknown_column",
        "Did you mean email?",
    ),
    "empty mapping": (
        swap("{EMAIL: email, PHONE: phone}", "{}"),
        33,
        14,
        "empty",
        "at least one",
    ),
    "primary key not declared": (
        swap("[customer_id]", "[customer_id, custmer]"),
        12,
        32,
        "unknown_column",
        "Did you mean customer_id?",
    ),
    "primary key twice": (
        swap("[customer_id]", "[customer_id, customer_id]"),
        12,
        32,
        "duplicate_column",
        "stands twice",
    ),
    "no primary key": (swap("[customer_id]", "[]"), 12, 18, "empty", "at least one"),
    "table and sql": (
        swap("table: customers", "table: customers\n    sql: select 1"),
        12,
        5,
        "model_body",
        "found table and sql",
    ),
    "neither table nor sql": (swap("    table: customers\n", ""), 9, 3, "model_body", "none"),
    "bad table": (
        swap("table: customers", "table: a.b.c"),
        11,
        12,
        "bad_table",
        "schema.name",
    ),
    "country in small letters": (
        swap("default_country: FR", "default_country: fr"),
        16,
        46,
        "bad_country",
        "FR",
    ),
    "two countries": (
        swap("default_country: FR", "default_country: FR, default_country_column: land"),
        16,
        50,
        "two_countries",
        "one of default_country and",
    ),
    "minimum above maximum": (
        swap("rule: pseudonym", "minimum: 2, maximum: 1"),
        17,
        29,
        "out_of_range",
        "minimum is above maximum",
    ),
    "threshold above one": (
        swap("schedule: every 15 minutes", "withheld_threshold: 2"),
        34,
        25,
        "out_of_range",
        "at most 1",
    ),
    "batch without rows": (
        swap("schedule: every 15 minutes", "batch_rows: 0"),
        34,
        17,
        "out_of_range",
        "more than 0",
    ),
    "audience missing": (
        swap("    audience: VIP customers\n", ""),
        26,
        3,
        "missing_key",
        "`audience`",
    ),
    "table for an audience": (
        swap("    audience: VIP", "    table: a\n    audience: VIP"),
        31,
        5,
        "key_of_other_type",
        "`table` means nothing",
    ),
    "mode of a database": (
        swap("mode: audience", "mode: mirror"),
        30,
        11,
        "mode_not_supported",
        "Allowed: audience, upsert.",
    ),
    "table missing": (
        to_crm("mode: upsert, key: [id], mapping: {id: customer_id}"),
        36,
        3,
        "missing_key",
        "`table`",
    ),
    "key missing": (
        to_crm("mode: mirror, table: t, mapping: {id: customer_id}"),
        36,
        3,
        "missing_key",
        "`key`",
    ),
    "key not mapped": (
        to_crm("mode: upsert, table: t, key: [ida], mapping: {id: customer_id}"),
        36,
        84,
        "key_not_mapped",
        "Did you mean id?",
    ),
    "audience for a database": (
        to_crm("mode: append, table: t, audience: a, mapping: {id: customer_id}"),
        36,
        78,
        "key_of_other_type",
        "`audience` means nothing",
    ),
    "internal without an owner": (
        lambda text: to_crm("mode: append, table: t, mapping: {id: customer_id}")(text).replace(
            "owner: a, ", ""
        ),
        21,
        37,
        "missing_key",
        "`owner`",
    ),
    "internal without a reason": (
        lambda text: to_crm("mode: append, table: t, mapping: {id: customer_id}")(text).replace(
            ", reason: b", ""
        ),
        21,
        37,
        "missing_key",
        "`reason`",
    ),
    "duplicate id": (
        lambda text: to_crm("mode: append, table: t, mapping: {id: customer_id}")(text).replace(
            "id: own", "id: vip_to_meta"
        ),
        36,
        13,
        "duplicate_id",
        "vip_to_meta",
    ),
    "no such file": (
        swap("table: customers", "file: models/none.sql"),
        11,
        11,
        "missing_file",
        "no such file",
    ),
    "file outside": (swap("table: customers", "file: ../a.sql"), 11, 11, "bad_file", "below"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_reported_where_it_stands(tmp_path: Path, fault: str) -> None:
    """With its file, line, column, code and way out."""
    check(tmp_path, FAULTS[fault])
