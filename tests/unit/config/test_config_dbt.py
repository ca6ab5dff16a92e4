"""Models named by a `ref` of dbt: where they stand, and when they are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbt_projects import CUSTOMERS, MANIFEST, REF_COLUMN, REF_LINE, TEXT, Json, one, places, write
from mayfly.config.dbt_manifest import BYTES_MAX
from mayfly.config.load import load_project, validate_project

REFS = {
    "dim_customers": ("analytics", "dim_customers_v2", "ref('dim_customers', v=2)"),
    "shop.dim_customers": ("analytics", "dim_customers_v2", "ref('dim_customers', v=2)"),
    "dim_customers.v1": ("analytics", "dim_customers_v1", "ref('dim_customers', v=1)"),
    "shop.dim_customers.v1": ("analytics", "dim_customers_v1", "ref('dim_customers', v=1)"),
    "ref('dim_customers', v=1)": ("analytics", "dim_customers_v1", "ref('dim_customers', v=1)"),
    'ref("shop", "dim_customers", version="1")': (
        "analytics",
        "dim_customers_v1",
        "ref('dim_customers', v=1)",
    ),
    "ref('shop','accounts')": ("analytics", "accounts_of_shop", "ref('accounts')"),
    "crm.accounts": ("analytics", "accounts", "ref('crm', 'accounts')"),
    "leads": ("analytics", "leads", "ref('crm', 'leads')"),
    "raw_customers": ("analytics", "raw_customers", "ref('raw_customers')"),
    "customers_snapshot": ("snaps", "customers_snapshot", "ref('customers_snapshot')"),
}


def _ref(written: str) -> str:
    return TEXT.replace("ref: dim_customers", f"ref: {json.dumps(written)}")


def _source(text: str) -> str:
    return TEXT.replace("{type: duckdb, path: shop.duckdb}", text)


@pytest.mark.parametrize("ref", REFS)
def test_a_ref_is_the_table_that_dbt_builds(tmp_path: Path, ref: str) -> None:
    """By alias and schema, of the latest version where none is named; dbt's own form is kept."""
    model = load_project(write(tmp_path, _ref(ref))).models["customers"]
    schema, table, written = REFS[ref]
    assert (model.table, model.dbt) == ((schema, table), written)


@pytest.mark.parametrize(
    ("ref", "code", "part"),
    [
        ("dim_custmers", "unknown_ref", "Did you mean dim_customers?"),
        ("dim_customers.v3", "unknown_ref", "no such model, seed or snapshot"),
        ("crm.dim_customers", "unknown_ref", "no such model, seed or snapshot"),
        ("events_of_raw", "unknown_ref", "no such model"),
        ("accounts", "dbt_ambiguous", "Write one of: crm.accounts, shop.accounts."),
        ("stg", "dbt_not_built", "ephemeral"),
        ("off", "dbt_not_built", "disabled"),
        ("hidden", "dbt_private", "private to a group"),
    ],
)
def test_a_ref_that_names_no_table_is_refused(
    tmp_path: Path, ref: str, code: str, part: str
) -> None:
    """At its place, with what to do."""
    found = one(write(tmp_path, _ref(ref)))
    place = ("mayfly.yml", REF_LINE, REF_COLUMN, code)
    assert places([found]) == [place]
    assert part in f"{found.message} {found.hint}"


@pytest.mark.parametrize(
    ("source", "adapter"),
    [
        ("{type: duckdb, path: shop.duckdb}", "postgres"),
        ("{type: postgres, dsn: 'env:DSN'}", "duckdb"),
        ("{type: files, path: exports}", "duckdb"),
    ],
)
def test_a_manifest_of_another_adapter_is_refused(
    tmp_path: Path, source: str, adapter: str
) -> None:
    """A table of that name in another warehouse holds other rows."""
    write(tmp_path, _source(source), lambda m: m["metadata"].update(adapter_type=adapter))
    found = one(tmp_path)
    assert places([found]) == [("mayfly.yml", REF_LINE, REF_COLUMN, "dbt_adapter")]
    assert adapter in found.message


def test_a_table_of_another_file_is_refused(tmp_path: Path) -> None:
    """Its database is named as the source's file is, unless the project says another name."""
    text = _source("{type: duckdb, path: copies/shop_copy.duckdb}")
    found = one(write(tmp_path, text))
    assert found.code == "dbt_database"
    assert "`dbt: {databases: {shop: shop}}`" in found.hint
    said = text.replace("dbt: {", "dbt: {databases: {shop: SHOP}, ")
    assert load_project(write(tmp_path, said)).models["customers"].table is not None
    other = text.replace("dbt: {", "dbt: {databases: {shop: crm}, ")
    assert one(write(tmp_path, other)).code == "dbt_database"


def test_a_source_that_is_named_for_its_database_is_declared(tmp_path: Path) -> None:
    """A slip in its name would leave the check out."""
    found = one(write(tmp_path, TEXT.replace("dbt: {", "dbt: {databases: {shp: a}, ")))
    assert places([found]) == [("mayfly.yml", 3, 19, "unknown_source")]
    assert "Did you mean shop?" in found.hint


def _to_postgres(manifest: Json) -> None:
    manifest["metadata"]["adapter_type"] = "postgres"


def test_a_server_has_the_one_database_that_dbt_builds_in(tmp_path: Path) -> None:
    """Its address is a secret: of several, the project says which."""
    text = _source("{type: postgres, dsn: 'env:DSN'}")
    assert load_project(write(tmp_path, text, _to_postgres)).models["customers"].table

    def two(manifest: Json) -> None:
        _to_postgres(manifest)
        manifest["nodes"]["model.crm.leads"]["database"] = "crm"

    assert one(write(tmp_path, text, two)).code == "dbt_database"
    said = text.replace("dbt: {", "dbt: {databases: {shop: shop}, ")
    assert load_project(write(tmp_path, said, two)).models["customers"].table


def test_what_dbt_did_not_quote_is_written_small_in_postgres(tmp_path: Path) -> None:
    """As the server did when dbt made the table."""

    def unquoted(manifest: Json) -> None:
        _to_postgres(manifest)
        node = manifest["nodes"]["model.crm.leads"]
        node |= {"alias": "Leads", "schema": "Sales", "relation_name": '"shop"."Sales".Leads'}

    text = _ref("leads").replace(
        "{type: duckdb, path: shop.duckdb}", "{type: postgres, dsn: 'env:D'}"
    )
    model = load_project(write(tmp_path, text, unquoted)).models["customers"]
    assert model.table == ("Sales", "leads")


def test_each_target_may_have_its_own_manifest(tmp_path: Path) -> None:
    """As dbt's own targets build in schemas of their own."""

    def production(manifest: Json) -> None:
        for node in manifest["nodes"].values():
            node["schema"] = "production"

    targets = "targets: {dev: {}, prod: {dbt: {manifest: dbt/prod.json}}}\n"
    write(tmp_path, TEXT + targets, production, name="dbt/prod.json")
    write(tmp_path, TEXT + targets)
    schemas = [load_project(tmp_path, target=t).models["customers"].table for t in ("dev", "prod")]
    assert [s and s[0] for s in schemas] == ["analytics", "production"]
    wrong = TEXT + targets.replace("manifest: dbt", "manfest: dbt")
    codes = [p.code for p in validate_project(write(tmp_path, wrong))]
    assert codes == ["missing_key", "unknown_key"]


def test_a_ref_needs_a_manifest(tmp_path: Path) -> None:
    """Which is named once, in `mayfly.yml`."""
    found = one(write(tmp_path, TEXT.replace("dbt: {manifest: dbt/manifest.json}\n", "\n")))
    assert places([found]) == [("mayfly.yml", REF_LINE, 5, "missing_key")]
    assert "manifest: dbt/target/manifest.json" in found.hint
    write(tmp_path, TEXT.replace("dbt: {manifest: dbt/manifest.json}\n", ""))
    (tmp_path / "models").mkdir()
    (tmp_path / "models/a.yml").write_text("dbt: {manifest: a.json}\n")
    assert "main_file_only" in [p.code for p in validate_project(tmp_path)]


def test_a_ref_stands_alone(tmp_path: Path) -> None:
    """A model is a table or a `ref`, not both."""
    text = TEXT.replace("    ref:", "    table: customers\n    ref:")
    found = one(write(tmp_path, text))
    assert places([found]) == [("mayfly.yml", 10, 5, "model_body")]


def _is_json(path: Path, text: str | bytes) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def _huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(BYTES_MAX + 1)


def _link(path: Path) -> None:
    path.rename(path.with_name("other.json"))
    path.symlink_to("other.json")


def _linked_folder(path: Path) -> None:
    path.parent.rename(path.parents[1] / "real")
    path.parent.symlink_to(path.parents[1] / "real")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "huge": (_huge, "too_large"),
    "a link": (_link, "symlink"),
    "below a link": (_linked_folder, "symlink"),
    "a pipe": (_pipe, "not_a_file"),
    "empty": (lambda p: _is_json(p, ""), "dbt_manifest"),
    "no UTF-8": (lambda p: _is_json(p, b'{"a": "\xff"}'), "dbt_manifest"),
    "endlessly deep": (lambda p: _is_json(p, "[" * 100_000), "dbt_manifest"),
    "a list": (lambda p: _is_json(p, "[]"), "dbt_manifest"),
    "something else": (lambda p: _is_json(p, '{"nodes": {}}'), "dbt_manifest"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, fault: str) -> None:
    """By its own name."""
    change, code = BROKEN[fault]
    change(write(tmp_path) / "dbt/manifest.json")
    found = one(tmp_path)
    assert (found.file, found.line, found.code) == ("dbt/manifest.json", 1, code)


def test_a_manifest_that_is_cut_off_is_refused_where_it_ends(tmp_path: Path) -> None:
    """As when dbt is still writing it."""
    write(tmp_path)
    (tmp_path / "dbt/manifest.json").write_text('{\n "metadata": {\n  "a": 1')
    assert places([one(tmp_path)]) == [("dbt/manifest.json", 3, 9, "dbt_manifest")]


@pytest.mark.parametrize("path", ["../manifest.json", "/manifest.json", "dbt/manifest.yml", "."])
def test_a_manifest_lies_in_the_project(tmp_path: Path, path: str) -> None:
    """What stands elsewhere is not in the reviewers' sight."""
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "manifest.json").write_text(MANIFEST)
    found = one(write(root, TEXT.replace("dbt/manifest.json", path)))
    assert places([found]) == [("mayfly.yml", 3, 17, "bad_file")]
    assert "--target-path" in found.hint


def test_a_manifest_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    """The target folder is often not in Git."""
    (write(tmp_path) / "dbt/manifest.json").unlink()
    found = one(tmp_path)
    assert places([found]) == [("mayfly.yml", 3, 17, "missing_file")]
    assert "dbt parse" in found.hint


def _without(*path: str) -> Callable[[Json], None]:
    def change(manifest: Json) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        del manifest[path[-1]]

    return change


def _version(text: object) -> Callable[[Json], None]:
    return lambda m: m["metadata"].update(dbt_schema_version=text)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (_version("https://schemas.getdbt.com/dbt/manifest/v8.json"), "v9 to v12, found v8"),
        (_version("https://schemas.getdbt.com/dbt/manifest/v20.json"), "found v20"),
        (_version("https://example.com/manifest/v12.json"), "found none that is known"),
        (_version(12), "found none that is known"),
        (_without("metadata"), "metadata: expected keys and values"),
        (_without("metadata", "adapter_type"), "metadata.adapter_type: expected a name"),
        (_without("nodes"), "nodes: expected keys and values"),
        (
            _without("nodes", "model.crm.leads", "alias"),
            "nodes.model.crm.leads.alias: expected a name",
        ),
        (lambda m: m["nodes"].update({"model.a.b": 1}), "nodes.model.a.b: expected keys"),
        (lambda m: m["disabled"].update({"model.a.b": 1}), "disabled.model.a.b: expected a list"),
    ],
)
def test_a_manifest_of_another_form_is_refused(
    tmp_path: Path, change: Callable[[Json], None], part: str
) -> None:
    """Nothing of it is taken where something is not understood."""
    found = one(write(tmp_path, change=change))
    assert (found.file, found.code) == ("dbt/manifest.json", "dbt_manifest")
    assert part in found.message
    assert "dbt parse" in found.hint


def test_what_is_not_read_may_be_of_any_form(tmp_path: Path) -> None:
    """Tests and macros, and names that only other tools use."""

    def more(manifest: Json) -> None:
        manifest["macros"] = [1]
        manifest["nodes"]["test.shop.a"] = {"resource_type": "test", "columns": 5}
        node = manifest["sources"]["source.shop.raw.events"]
        node |= {"name": "o'clock (old)", "identifier": "o'clock (old)"}

    assert load_project(write(tmp_path, change=more)).models["customers"].table is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*"name alias schema columns config meta tags mayfly pii".split()]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([*"name package_name alias schema version columns config meta tags".split()]),
    _JSON,
)
def test_any_shape_is_read_or_refused(tmp_path: Path, key: str, value: object) -> None:
    """A node of any form raises nothing but the documented errors."""

    def change(manifest: Json) -> None:
        manifest["nodes"][CUSTOMERS][key] = value

    codes = {p.code for p in validate_project(write(tmp_path, change=change))}
    assert codes <= {"dbt_manifest", "unknown_ref", "bad_mark", "dbt_database"}
