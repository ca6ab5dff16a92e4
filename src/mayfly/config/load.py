"""Read, merge and check the project files. Problems are collected; values are not printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mayfly.config.models import DestinationFile, ModelFile, ProjectFile
from mayfly.config.secrets import parse_reference
from mayfly.domain import settings as s
from mayfly.domain.errors import ConfigError

SECTIONS = ("sources", "models", "destinations", "syncs")
SANDBOX = "http://127.0.0.1:8765"
MAX_BYTES = 1_000_000


class ConfigProblemsError(ConfigError):
    """The project files are wrong; `problems` lists how."""

    def __init__(self, problems: list[s.Problem]) -> None:
        first = problems[0]
        super().__init__(
            first.code,
            f"{first.file}:{first.line}:{first.column}: {first.message}",
            hint=first.hint,
        )
        self.problems = tuple(problems)


def _fail(
    file: str, code: str, message: str, line: int = 1, column: int = 1
) -> ConfigProblemsError:
    problem = s.Problem(file=file, line=line, column=column, code=code, message=message)
    return ConfigProblemsError([problem])


def _read(root: Path, path: Path) -> Any:
    name = path.relative_to(root).as_posix()
    if path.is_symlink() or path.parent.is_symlink():
        raise _fail(name, "symlink", "symbolic links are refused")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _fail(name, "too_large", f"a project file has at most {MAX_BYTES} bytes")
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise _fail(name, "unreadable", "expected a readable UTF-8 file") from None
    if path.suffix == ".sql":
        return text
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if getattr(event, "anchor", None):
                mark = event.start_mark
                raise _fail(name, "anchor", "anchors are refused", mark.line + 1, mark.column + 1)
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        found = getattr(error, "problem_mark", None)
        at = (found.line + 1, found.column + 1) if found else (1, 1)
        raise _fail(name, "yaml", "not valid YAML, or a key stands twice", *at) from None
    except (ValueError, RecursionError, TypeError):
        raise _fail(name, "yaml", "not valid YAML") from None
    if not isinstance(data, dict):
        raise _fail(name, "yaml", "expected a mapping")
    return data


def _merged(root: Path) -> dict[Any, Any]:
    if not (root / "mayfly.yml").exists():
        raise _fail("mayfly.yml", "missing", "there is no mayfly.yml here")
    data = _read(root, root / "mayfly.yml")
    for section in SECTIONS:
        for path in sorted([*(root / section).glob("*.yml"), *(root / section).glob("*.yaml")]):
            part = _read(root, path)
            part.pop("version", None)
            entries = part[section] if set(part) == {section} else part
            known = data.setdefault(section, {})
            if not isinstance(entries, dict) or not isinstance(known, dict):
                raise _fail(path.relative_to(root).as_posix(), "yaml", "expected a mapping")
            if set(entries) & set(known):
                raise _fail(
                    path.relative_to(root).as_posix(), "defined_twice", "a name stands twice"
                )
            known.update(entries)
    return dict(data)


def _overlay(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            k: _overlay(base.get(k), over[k]) if k in over else base[k] for k in {**base, **over}
        }
    return over


def _parse(root: Path, target: str) -> ProjectFile:
    data = _merged(root)
    targets = data.get("targets", {})
    if isinstance(targets, dict) and target in targets:
        for section in ("sources", "destinations"):
            over = targets[target].get(section) if isinstance(targets[target], dict) else None
            if over is not None:
                data[section] = _overlay(data.get(section, {}), over)
    elif target != "dev":
        raise _fail("mayfly.yml", "unknown_target", "the target is not declared")
    try:
        return ProjectFile.model_validate(data)
    except ValidationError as error:
        raise ConfigProblemsError(
            [
                s.Problem(
                    file="mayfly.yml",
                    line=1,
                    column=1,
                    code="unknown_key" if e["type"] == "extra_forbidden" else e["type"],
                    message=".".join(map(str, e["loc"])) + ": " + e["msg"],
                )
                for e in error.errors(include_input=False, include_url=False)
            ]
        ) from None


def _model(root: Path, name: str, m: ModelFile) -> s.ModelSettings:
    if sum(x is not None for x in (m.table, m.sql, m.file)) != 1:
        raise _fail("mayfly.yml", "model_body", f"models.{name}: expected one of table, sql, file")
    if set(m.primary_key) - set(m.columns):
        raise _fail("mayfly.yml", "primary_key", f"models.{name}: primary_key is not in columns")
    sql = m.sql
    if m.file is not None:
        path = root / m.file
        if not path.resolve().is_relative_to(root) or path.suffix != ".sql":
            raise _fail("mayfly.yml", "file", f"models.{name}: expected a .sql file in the project")
        sql = _read(root, path.parent.resolve() / path.name)
    table = None
    if m.table is not None:
        schema, _, last = m.table.rpartition(".")
        table = (schema or None, last)
    columns = {
        k: s.ColumnSettings(
            name=k, **{**c.model_dump(), "values": None if c.values is None else tuple(c.values)}
        )
        for k, c in m.columns.items()
    }
    consent = {
        k: s.ConsentBinding(
            purpose=k, **{**c.model_dump(), "in_": None if c.in_ is None else tuple(c.in_)}
        )
        for k, c in m.consent.items()
    }
    return s.ModelSettings(
        name=name,
        source=m.source,
        table=table,
        sql=sql,
        primary_key=tuple(m.primary_key),
        columns=columns,
        consent=consent,
    )


def _destination(root: Path, name: str, d: DestinationFile) -> s.DestinationSettings:
    required = {
        "meta_ads": ("account_id", "access_token"),
        "postgres": ("dsn",),
        "files": ("path", "format"),
    }
    if any(getattr(d, key) is None for key in required.get(d.type, ("path",))):
        raise _fail("mayfly.yml", "missing", f"destinations.{name}: a required key is missing")
    internal = d.kind == "internal"
    if internal and (d.type == "meta_ads" or not d.owner or not d.reason):
        raise _fail("mayfly.yml", "kind", f"destinations.{name}: internal needs owner and reason")
    options: dict[str, object] = {}
    for key in (
        "account_id",
        "access_token",
        "app_secret",
        "api_version",
        "dsn",
        "schema_",
        "path",
        "format",
    ):
        value = getattr(d, key)
        if value is not None:
            secret = key in ("access_token", "app_secret", "dsn")
            plain = root / value if key == "path" else value
            options[key.rstrip("_")] = parse_reference(value) if secret else plain
    endpoint = SANDBOX if d.endpoint == "sandbox" else d.endpoint
    return s.DestinationSettings(
        name=name,
        type=d.type,
        kind=d.kind,
        owner=d.owner,
        reason=d.reason,
        endpoint=endpoint,
        options=options,
    )


def _cross(p: ProjectFile) -> None:
    for name, m in p.models.items():
        if m.source not in p.sources:
            raise _fail("mayfly.yml", "unknown_source", f"models.{name}: source is not declared")
    if len({x.id for x in p.syncs.values()}) != len(p.syncs):
        raise _fail("mayfly.yml", "duplicate_id", "two syncs have one id")
    for name, x in p.syncs.items():
        if x.model not in p.models or x.destination not in p.destinations:
            raise _fail("mayfly.yml", "unknown_reference", f"syncs.{name}: model or destination")
        model, kind = p.models[x.model], p.destinations[x.destination].type
        if set(x.mapping.values()) - set(model.columns):
            raise _fail("mayfly.yml", "unknown_column", f"syncs.{name}: mapping")
        if x.purpose is not None and x.purpose not in model.consent:
            raise _fail("mayfly.yml", "unknown_purpose", f"syncs.{name}: purpose is not bound")
        if (kind == "meta_ads") != (x.mode == "audience") or (
            kind == "meta_ads" and not x.audience
        ):
            raise _fail("mayfly.yml", "audience", f"syncs.{name}: mode and audience do not fit")
        if kind in ("postgres", "duckdb", "sqlite") and not (x.table and x.key):
            raise _fail("mayfly.yml", "table", f"syncs.{name}: expected table and key")


def load_project(root: Path, *, target: str = "dev") -> s.Project:
    """The project at `root` under `target`; raises ConfigProblemsError."""
    root = root.resolve()
    p = _parse(root, target)
    _cross(p)
    sources = {}
    for name, x in p.sources.items():
        if (x.dsn if x.type == "postgres" else x.path) is None:
            raise _fail("mayfly.yml", "missing", f"sources.{name}: expected path or dsn")
        sources[name] = s.SourceSettings(
            name=name,
            type=x.type,
            path=root / x.path if x.path else None,
            dsn=parse_reference(x.dsn) if x.dsn else None,
            schema=x.schema_,
            state=x.state or ("local" if x.type == "files" else "source"),
            memory_limit=x.memory_limit,
            state_schema=x.state_schema,
        )
    w = p.workspace
    warnings = tuple(
        s.Problem(
            file="mayfly.yml", line=1, column=1, code="not_enforced", message=f"syncs.{n}.schedule"
        )
        for n, x in p.syncs.items()
        if x.schedule
    )
    return s.Project(
        root=root,
        workspace=s.Workspace(name=w.name, plan=w.plan, **w.residency.model_dump()),
        keys=s.KeysSettings(provider=p.keys.provider),
        store=s.StoreSettings(url=p.store.url),
        target=target,
        sources=sources,
        models={n: _model(root, n, m) for n, m in p.models.items()},
        destinations={n: _destination(root, n, d) for n, d in p.destinations.items()},
        syncs={
            n: s.SyncSettings(
                name=n, **{**x.model_dump(), "key": tuple(x.key), "tags": tuple(x.tags)}
            )
            for n, x in p.syncs.items()
        },
        warnings=warnings,
    )


def validate_project(root: Path, target: str = "dev") -> list[s.Problem]:
    """Every problem found; empty where the project loads."""
    try:
        load_project(root, target=target)
    except ConfigProblemsError as error:
        return list(error.problems)
    return []


def project_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the merged project files."""
    schema = ProjectFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
