"""The rules in the SQL of engines that were never asked: of their dialect, and as approved."""

from __future__ import annotations

import hashlib
import re

import pytest

from approved import check_approved
from mayfly.planning.probe import planner_probe
from mayfly.privacy.rules import (
    CANONICAL_KINDS,
    RULES,
    SqlDialectName,
    canonical_rule,
    sql_digest,
)
from mayfly.privacy.rules.emitters import EMITTERS
from mayfly.privacy.rules.probe import STRINGS, RuleUse, probe_sql
from translated import DIALECTS, parsed

NAMES: tuple[SqlDialectName, ...] = ("databricks", "redshift")
_LITERAL = re.compile(r"'(?:[^'\\]|''|\\.)*'")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_SHOWN_MAX = 160


def shown(sql: str) -> str:
    """With a sign in place of each long list of characters, and each control character named."""

    def sign(found: re.Match[str]) -> str:
        text = found.group(0)
        if len(text) <= _SHOWN_MAX:
            return _CONTROL.sub(lambda c: f"{{{ord(c.group(0))}}}", text.replace("\n", "{10}"))
        return f"'… {len(text) - 2} {hashlib.sha256(text.encode()).hexdigest()[:12]} …'"

    return _LITERAL.sub(sign, sql)


@pytest.mark.parametrize("dialect", NAMES)
def test_every_rule_is_of_the_dialect_and_as_approved(dialect: SqlDialectName) -> None:
    """Parsed, written and parsed again it is the same."""
    made: dict[str, list[str]] = {}
    rules = [r for r in RULES.values() if not r.prehashed_only]
    for rule in (*rules, *map(canonical_rule, CANONICAL_KINDS)):
        for country in (None, "FR") if rule.phone != "none" else (None,):
            sql = sql_digest(rule, dialect, "v", default_country=country)
            text = f"SELECT {sql.digest} AS d,\n  {sql.in_repertoire} AS i"
            if sql.canonical != sql.digest:
                text += f",\n  {sql.canonical} AS c"
            made.setdefault(text, []).append(
                f"{rule.platform}.{rule.field} {country or ''}".strip()
            )
    for text in made:
        parsed(text, dialect)
    parts = (f"-- {', '.join(names)}\n{shown(text)};\n\n" for text, names in made.items())
    check_approved(f"{dialect}-rules.sql", "".join(parts))


@pytest.mark.parametrize("dialect", NAMES)
def test_the_probes_are_of_the_dialect_and_as_approved(dialect: SqlDialectName) -> None:
    """Where an engine works constants out elsewhere than rows, neither has any string of ours."""
    sql = DIALECTS[dialect]()
    planner, _ = planner_probe(sql)
    use = RuleUse(rule=RULES["meta", "email"])
    rules = probe_sql([use], dialect, sql.as_text("{column}"), loaded=sql.probes_rows)
    listed = f"SELECT n, v FROM {EMITTERS[dialect]().rows('n', 'v', STRINGS[::8])}"
    for text in (planner, rules, listed):
        parsed(text, dialect)
    assert ("example.com" in rules) is not sql.probes_rows
    check_approved(f"{dialect}-probes.sql", f"{planner};\n\n{shown(rules)};\n")
