"""What dbt's files say of a column makes its rule stricter, and never looser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbt_projects import CUSTOMERS, TEXT, Json, column, marked, one, places, write
from mayfly.config.dbt_marks import FIDES, PERSONAL, rank, stricter_class
from mayfly.config.load import load_project, validate_project
from mayfly.domain.classes import CLASSES
from mayfly.domain.settings import ColumnSettings

Change = Callable[[Json], None]


def city(root: Path, text: str = TEXT) -> ColumnSettings:
    """The column that tests mark."""
    return load_project(root).models["customers"].columns["city"]


def read(root: Path, change: Change, text: str = TEXT) -> tuple[str | None, str | None, bool]:
    """Class, mark and whether the column is closed."""
    found = city(write(root, text, change))
    return found.cls, found.mark, found.closed


def tagged(*tags: str) -> Change:
    """Tags of the column."""
    return column("city", {"config": {"tags": list(tags)}})


SAID: dict[str, tuple[Change, str | None]] = {
    "nothing": (column("city", None), None),
    "other things": (column("city", {"meta": {"owner": "crm"}, "tags": ["nightly"]}), None),
    "our key": (marked("city", mayfly={"class": "city"}), "city"),
    "our key, as before dbt 1.10": (
        column("city", {"meta": {"mayfly": {"class": "city"}}}),
        "city",
    ),
    "pii": (marked("city", pii=True), PERSONAL),
    "pii by its class": (marked("city", pii="city"), "city"),
    "pii by another word": (marked("city", PII="high"), PERSONAL),
    "contains_pii": (marked("city", contains_pii="yes"), PERSONAL),
    "contains-pii": (column("city", {"meta": {"contains-pii": True}}), PERSONAL),
    "sensitive": (marked("city", sensitive=1), PERSONAL),
    "not pii": (marked("city", pii=False), None),
    "not pii, as text": (marked("city", contains_pii="No"), None),
    "a category": (marked("city", data_category="user.contact.address.city"), "city"),
    "a category below one": (marked("city", data_category="user.location.precise"), "geo"),
    "a category above all": (marked("city", data_categories=["user.behavior"]), PERSONAL),
    "a category of no person": (marked("city", data_category="system.operations"), None),
    "a category nobody knows": (marked("city", data_category="mine"), PERSONAL),
    "the strictest category": (
        marked("city", data_categories=["user.contact.address.city", "user.genetic"]),
        "special",
    ),
    "tag pii": (tagged("nightly", "PII"), PERSONAL),
    "tag before dbt 1.10": (column("city", {"tags": "contains_pii"}), PERSONAL),
    "tag sensitive": (tagged("sensitive"), PERSONAL),
    "tag with a class": (tagged("pii:city"), "city"),
    "tag with another word": (tagged("pii_high"), PERSONAL),
    "tag that only looks like one": (tagged("piiless", "non_pii"), None),
    "a class and a tag": (
        column("city", {"config": {"meta": {"mayfly": {"class": "city"}}, "tags": ["pii"]}}),
        "city",
    ),
    "yes and no": (column("city", {"config": {"meta": {"pii": False}, "tags": ["pii"]}}), PERSONAL),
}


@pytest.mark.parametrize("said", SAID)
def test_meta_and_tags_are_marks(tmp_path: Path, said: str) -> None:
    """By our own key, common keys and tags, and Fides categories; of several the strictest."""
    change, mark = SAID[said]
    cls = mark if mark in CLASSES else None
    assert read(tmp_path, change) == (cls, mark, mark is not None)


def test_a_name_is_the_same_in_any_letters(tmp_path: Path) -> None:
    """As in the warehouse."""

    def upper(manifest: Json) -> None:
        columns = manifest["nodes"][CUSTOMERS]["columns"]
        columns["CITY"] = columns.pop("city")

    assert read(tmp_path, upper) == (None, PERSONAL, True)


def whole(*, column_meta: Json | None = None, **config: object) -> Change:
    """Something said of the whole model, and of its column."""

    def change(manifest: Json) -> None:
        column("city", None if column_meta is None else {"meta": column_meta})(manifest)
        manifest["nodes"][CUSTOMERS]["config"] |= config

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (whole(meta={"contains_pii": True}), (None, PERSONAL, True)),
        (whole(tags=["pii"]), (None, PERSONAL, True)),
        (whole(tags=["pii:email"]), (None, PERSONAL, True)),
        (whole(tags=["pii"], column_meta={"pii": "city"}), ("city", "city", True)),
        (whole(tags=["pii"], column_meta={"pii": False}), (None, None, False)),
        (whole(meta={"contains_pii": False}), (None, None, False)),
    ],
)
def test_a_mark_of_a_model_holds_of_its_columns(
    tmp_path: Path, change: Change, expected: object
) -> None:
    """Except where dbt's files say more of the column itself."""
    assert read(tmp_path, change) == expected


@pytest.mark.parametrize(
    ("declared", "mark", "expected"),
    [
        (None, "email", ("email", True, False)),
        ("none", "email", ("email", True, False)),
        ("hashed", "email", ("email", True, False)),
        ("email", "email", ("email", False, False)),
        ("email", "special", ("special", True, False)),
        ("special", "email", ("special", False, False)),
        ("email", "uuid", ("email", False, False)),
        ("email", "none", ("email", False, False)),
        ("phone", "email", ("phone", False, True)),
        (None, PERSONAL, (None, True, False)),
        ("none", PERSONAL, ("none", True, False)),
        ("uuid", PERSONAL, ("uuid", True, False)),
        ("city", PERSONAL, ("city", False, False)),
        ("city", None, ("city", False, False)),
    ],
)
def test_the_stricter_class_holds(
    declared: str | None, mark: str | None, expected: tuple[str | None, bool, bool]
) -> None:
    """Nothing, ids, a person's, special; two of a person's contradict each other."""
    assert stricter_class(declared, mark) == expected


@given(
    st.sampled_from([None, *CLASSES]),
    st.sampled_from([None, PERSONAL, *CLASSES]),
)
def test_no_mark_loosens(declared: str | None, mark: str | None) -> None:
    """The class is never less than declared, and where it is another the column is closed."""
    cls, closed, _ = stricter_class(declared, mark)
    assert rank(cls) >= rank(declared)
    assert closed or cls == declared


def test_classes_that_contradict_are_refused(tmp_path: Path) -> None:
    """At the class in the project files, with both."""
    text = TEXT.replace("city: {}", "city: {class: region}")
    found = one(write(tmp_path, text, marked("city", pii="city")))
    assert places([found]) == [("mayfly.yml", 11, 41, "mark_differs")]
    assert "marks it as city, and here it is region" in found.message


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (marked("city", mayfly="city"), "meta.mayfly: expected keys and values"),
        (marked("city", mayfly={"class": "ctiy"}), "Did you mean city?"),
        (marked("city", mayfly={"clas": "city"}), "Did you mean class?"),
        (marked("city", mayfly={"block": "yes"}), "block: expected true or false"),
        (marked("city", pii="city", mayfly={"class": "region"}), "marks differ: city and region"),
        (whole(meta={"mayfly": {"class": "city"}}), "belongs to a column"),
    ],
)
def test_a_mark_that_means_nothing_is_refused(tmp_path: Path, change: Change, part: str) -> None:
    """Taken for none, it would leave the column open."""
    found = one(write(tmp_path, change=change))
    assert places([found]) == [("mayfly.yml", 9, 5, "bad_mark")]
    assert part in f"{found.message} {found.hint}"
    assert CUSTOMERS in found.message


BLOCKED: dict[str, Change] = {
    "our key": marked("city", mayfly={"block": True}),
    "blocked": marked("city", blocked=True),
    "a tag": tagged("blocked"),
    "the whole model": whole(meta={"mayfly": {"block": True}}),
}


@pytest.mark.parametrize("said", BLOCKED)
def test_a_blocked_column_is_in_no_mapping(tmp_path: Path, said: str) -> None:
    """The mapping that uses it is refused at its line."""
    found = validate_project(write(tmp_path, change=BLOCKED[said]))
    assert ("mayfly.yml", 25, 13, "mark_blocked") in places(found)
    assert len(found) == (3 if said == "the whole model" else 1)


def test_a_blocked_column_may_be_declared(tmp_path: Path) -> None:
    """As a key or for consent: what leaves is what is mapped. `score` is blocked."""
    columns = load_project(write(tmp_path)).models["customers"].columns
    assert "score" in columns
    text = TEXT.replace("city: city", "score: score")
    assert places(validate_project(write(tmp_path, text))) == [
        ("mayfly.yml", 25, 14, "mark_blocked")
    ]


@pytest.mark.parametrize("said", [False, None, "no"])
def test_a_column_that_is_not_blocked_may_leave(tmp_path: Path, said: object) -> None:
    """By the words that say so."""
    assert validate_project(write(tmp_path, change=marked("city", blocked=said))) == []


OTHER_WAYS = {
    "table": "table: analytics.dim_customers_v2",
    "sql": "sql: SELECT id, email, city, vip, score FROM analytics.dim_customers_v2",
    "sql in layers": "sql: SELECT * FROM (SELECT * FROM analytics.DIM_CUSTOMERS_V2) AS a",
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_marks_hold_by_any_way_to_the_table(tmp_path: Path, way: str) -> None:
    """They are of the table, whatever a model calls it; dbt's name is known of a table only."""
    text = TEXT.replace("ref: dim_customers", OTHER_WAYS[way])
    write(tmp_path, text)
    model = load_project(tmp_path).models["customers"]
    assert [model.columns[c].mark for c in ("id", "email", "city")] == [None, "email", PERSONAL]
    assert model.dbt == ("ref('dim_customers', v=2)" if way == "table" else None)
    blocked = text.replace("city: city", "city: score")
    assert places(validate_project(write(tmp_path, blocked))) == [
        ("mayfly.yml", 25, 13, "mark_blocked")
    ]


HIDDEN = {
    "another name": "SELECT id, email, score + 1 AS city FROM analytics.dim_customers_v2",
    "inside": "SELECT id, email, s AS city FROM (SELECT *, score AS s FROM dim_customers_v2) AS q",
    "a subquery": "SELECT id, email, (SELECT max(score) FROM dim_customers_v2) AS city FROM t",
    "a whole row": "SELECT c.id, c.email, c AS city FROM analytics.dim_customers_v2 AS c",
    "a whole row by its table": "SELECT id, email, dim_customers_v2 AS city FROM dim_customers_v2",
    "the place in a union": (
        "SELECT id, email, city FROM t UNION ALL SELECT id, email, score FROM dim_customers_v2"
    ),
    "the place beside a star": (
        "SELECT * FROM t UNION SELECT id, email, score FROM dim_customers_v2"
    ),
}


def _by_sql(sql: str) -> str:
    text = TEXT.replace("ref: dim_customers", f'sql: "{sql}"')
    return text.replace(", vip: {}, score: {}", "")


@pytest.mark.parametrize("way", HIDDEN)
def test_a_blocked_column_does_not_leave_under_another_name(tmp_path: Path, way: str) -> None:
    """What a query makes of it is it."""
    found = validate_project(write(tmp_path, _by_sql(HIDDEN[way])))
    assert ("mayfly.yml", 25, 13, "mark_blocked") in places(found)


def test_what_a_query_makes_without_it_may_leave(tmp_path: Path) -> None:
    """Also where it is asked for who is meant, and in a union that leaves it out."""
    sql = "SELECT c.id, c.email, upper(c.city) AS city FROM dim_customers_v2 AS c WHERE score > 1"
    assert validate_project(write(tmp_path, _by_sql(sql))) == []
    both = f"{sql} UNION ALL SELECT id, email, city FROM t"
    assert validate_project(write(tmp_path, _by_sql(both))) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["metadata"].update(adapter_type="postgres"),
        lambda m: m["nodes"][CUSTOMERS].update(database="crm"),
        lambda m: m["nodes"][CUSTOMERS].update(schema="other"),
    ],
)
def test_marks_of_another_table_are_not_taken(tmp_path: Path, change: Change) -> None:
    """Of another warehouse, database or schema."""
    text = TEXT.replace("ref: dim_customers", "table: analytics.dim_customers_v2")
    write(tmp_path, text, change)
    columns = load_project(tmp_path).models["customers"].columns
    assert {c.mark for c in columns.values()} == {None}


def test_a_source_of_dbt_has_marks_too(tmp_path: Path) -> None:
    """And a name that exposures depend on."""
    text = TEXT.replace("ref: dim_customers", "table: raw.events").replace("city", "ip")
    write(tmp_path, text)
    model = load_project(tmp_path).models["customers"]
    assert (model.columns["ip"].mark, model.dbt) == (PERSONAL, "source('raw', 'events')")


def test_fides_categories_are_of_known_classes() -> None:
    """A slip here would be a class that no rule knows."""
    assert set(FIDES.values()) <= {PERSONAL, *CLASSES}
