"""Parsed project files as the values the layers above read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from mayfly.config import models as m
from mayfly.config.alerts import alert_settings
from mayfly.config.buckets import FolderSpool, GcsAnchor, GcsBucket, S3Anchor, S3Bucket
from mayfly.config.dbt import Found
from mayfly.config.dbt_marks import Mark, stricter_class
from mayfly.config.destinations.base import DestinationPart, Owned
from mayfly.config.fields import SANDBOX, login_keys, seconds_of, secret_keys
from mayfly.config.files import Merged, read_text
from mayfly.config.findings import Findings, Spot
from mayfly.config.keys import KeysFile
from mayfly.config.parse import Parsed
from mayfly.config.parties import party_of, responsibility_of
from mayfly.config.processors import processor_of, register_settings
from mayfly.config.residency import placement
from mayfly.config.secrets import parse_reference
from mayfly.config.source_models import AnySource, ClassifyFile
from mayfly.config.telemetry import serve_settings, telemetry_settings
from mayfly.domain import settings as s
from mayfly.domain.limits import AccountLimits
from mayfly.domain.transfers import Transfer


def read_sql_files(merged: Merged, parsed: Parsed, findings: Findings) -> dict[str, str]:
    """The text of each model's SQL file by the model's name; refuses SQL that no model names."""
    texts: dict[str, str] = {}
    named: set[str] = set()
    for name, model in parsed.models.items():
        if model.file is None:
            continue
        path = Path(os.path.normpath(merged.root / model.file))
        spot = merged.spots.value("models", name, "file")
        if not path.is_relative_to(merged.root) or path.suffix != ".sql":
            message = f"models.{name}.file: expected a .sql file below the project's folder"
            findings.add(spot, "bad_file", message)
            continue
        merged.files.append(path)
        named.add(path.relative_to(merged.root).as_posix())
        if not os.path.lexists(path):
            findings.add(spot, "missing_file", f"models.{name}.file: there is no such file")
            continue
        text = read_text(merged.root, path, findings)
        if text is not None:
            texts[name] = text
    if len(parsed.models) == len(merged.section("models")):
        for file in sorted(merged.sql_files - named):
            message = "no model names this SQL file"
            hint = f"Name it with `file: {file}`, or remove it."
            findings.add(Spot(file=file), "stray_file", message, hint)
    return texts


def build(
    merged: Merged, parsed: Parsed, texts: dict[str, str], target: str, dbt: Found
) -> s.Project:
    """The project under `target`; its parts have been checked.

    Raises:
        ValueError: the project could not be read as a whole.
    """
    head = parsed.complete
    if head is None:
        raise ValueError("a faulty project cannot be built")
    workspace, residency = head.workspace, head.workspace.residency
    where = placement(residency.provider, residency.geography, residency.region)
    return s.Project(
        root=merged.root,
        workspace=s.Workspace(
            name=workspace.name,
            approvals=workspace.approvals,
            people={name: tuple(keys) for name, keys in workspace.people.items()},
            plan=workspace.plan,
            provider=where.provider,
            geography=where.geography,
            region=where.region,
            transfers={
                country: Transfer(country=country, **x.model_dump())
                for country, x in residency.transfers.items()
            },
            ai=workspace.ai,
            placed=any((workspace.plan, residency.provider, residency.geography, residency.region)),
        ),
        organisation=party_of(head.organisation),
        controller=party_of(head.controller),
        keys=_keys(head.keys),
        store=s.StoreSettings(url=head.store.url, region=head.store.region),
        anchors={n: _anchor(n, a) for n, a in head.anchors.items()},
        alerts={n: alert_settings(n, a) for n, a in head.alerts.items()},
        serve=serve_settings(head.serve),
        telemetry=telemetry_settings(head.telemetry),
        spool=None if isinstance(head.spool, FolderSpool) else _bucket(head.spool),
        dbt=None if head.dbt is None else s.DbtSettings(owner=head.dbt.owner, read=dbt.read),
        target=target,
        sources={n: _source(merged.root, n, x) for n, x in parsed.sources.items()},
        models={n: _model(parsed, n, x, texts, dbt) for n, x in parsed.models.items()},
        destinations={n: _destination(merged.root, n, x) for n, x in parsed.destinations.items()},
        syncs={
            n: s.SyncSettings(
                name=n,
                **(
                    x.model_dump(exclude={"recheck_after"})
                    | {"recheck_after_seconds": seconds_of(x.recheck_after)}
                    | {"key": tuple(x.key), "tags": tuple(x.tags)}
                    | {"on_outage": x.on_outage or _on_outage(parsed, x)}
                ),
            )
            for n, x in parsed.syncs.items()
        },
        processors={n: processor_of(n, x) for n, x in parsed.processors.items()},
        register=register_settings(head.processing),
        plugins={t: plugin for t, (plugin, _) in merged.plugins.items()},
        warnings=tuple(_warnings(merged, parsed)),
        files=tuple(merged.files),
    )


def _on_outage(parsed: Parsed, sync: m.SyncFile) -> str:
    """Events are often gone from their source when the destination is back, and beside a source
    that is not written no plan waits; what else is kept equal is planned anew.
    """
    source = parsed.sources[parsed.models[sync.model].source]
    return "hold" if sync.mode == "append" or source.state == "local" else "replan"


_KEY_SECRETS = {"pkcs11": "pin", "vault": "token"}


def _keys(keys: KeysFile) -> s.KeysSettings:
    options: dict[str, object] = keys.model_dump(
        exclude={"provider", "epoch_days"}, exclude_none=True
    )
    secret = _KEY_SECRETS.get(keys.provider)
    if secret is not None:
        options[secret] = parse_reference(str(options[secret]))
    epoch_days = getattr(keys, "epoch_days", None)  # some providers have none
    return s.KeysSettings(provider=keys.provider, options=options, epoch_days=epoch_days)


_BUCKET_SECRETS = (
    "access_key_id",
    "secret_access_key",
    "session_token",
    "service_account_key",
    "access_token",
)


def _bucket(bucket: S3Bucket | GcsBucket) -> s.BucketSettings:
    references = {key: getattr(bucket, key, None) for key in _BUCKET_SECRETS}
    parsed = {key: parse_reference(text) for key, text in references.items() if text is not None}
    return s.BucketSettings(
        type="s3" if isinstance(bucket, S3Bucket) else "gcs",
        bucket=bucket.bucket,
        prefix=bucket.prefix or "",
        region=getattr(bucket, "region", None) or "",
        endpoint=bucket.endpoint,
        credentials={key: reference for key, reference in parsed.items() if reference is not None},
    )


def _anchor(name: str, anchor: m.AnchorFile) -> s.AnchorSettings:
    return s.AnchorSettings(
        name=name,
        region=anchor.region,
        path=Path(anchor.path).expanduser() if isinstance(anchor, m.FolderAnchor) else None,
        source=anchor.source if isinstance(anchor, m.SourceAnchor) else None,
        url=anchor.url if isinstance(anchor, m.WebhookAnchor) else None,
        secret=parse_reference(anchor.secret) if isinstance(anchor, m.WebhookAnchor) else None,
        bucket=_bucket(anchor) if isinstance(anchor, S3Anchor | GcsAnchor) else None,
    )


def _source(root: Path, name: str, source: AnySource) -> s.SourceSettings:
    """Keys that `SourceSettings` has no field for go to its options."""
    given = source.model_dump(by_alias=True, exclude_none=True)
    for key in secret_keys(type(source)) & given.keys():
        given[key] = parse_reference(given[key])
    if "path" in given:
        given["path"] = root / given["path"]
    known = {f.name for f in fields(s.SourceSettings)} - {"name", "options"}
    options = {key: given.pop(key) for key in given.keys() - known}
    return s.SourceSettings(name=name, options=options, **given)


def _model(
    parsed: Parsed, name: str, model: m.ModelFile, texts: dict[str, str], dbt: Found
) -> s.ModelSettings:
    source = parsed.sources[model.source]
    table: tuple[str | None, str] | None = dbt.tables.get(name)
    marks = dbt.marks.get(name, {})
    if model.table is not None:
        table = _table(model.table, source.type)
    named = dict(model.columns)
    if model.policy != "block_all":
        # What a mapping names may be used, though nothing is declared of it.
        mapped = [c for x in parsed.syncs.values() if x.model == name for c in x.mapping.values()]
        named |= {column: m.ColumnFile() for column in mapped if column not in named}
    told = {
        c: c.removeprefix(s.TOLD)
        for x in parsed.syncs.values()
        for c in (x.mapping.values() if x.model == name else ())
        if m.is_told(model, c)
    }
    columns = {
        k: _column(k, c, marks.get(k, Mark())) for k, c in named.items() if k not in told
    } | {k: s.ColumnSettings(name=k, cls="none", tells=purpose) for k, purpose in told.items()}
    consent = {k: _consent(k, c, model, source.type) for k, c in model.consent.items()}
    return s.ModelSettings(
        name=name,
        source=model.source,
        table=table,
        sql=texts.get(name, model.sql),
        primary_key=tuple(model.primary_key),
        columns=columns,
        consent=consent,
        dbt=dbt.written.get(name) or None,
        policy=model.policy,
        blocked=tuple(model.blocked),
        where=model.where,
    )


def _table(name: str, kind: str) -> tuple[str | None, str]:
    """A folder has no schemas: a dot belongs to the file's name."""
    if kind == "files":
        return None, name
    schema, _, last = name.rpartition(".")
    return schema or None, last


def _consent(
    purpose: str, consent: m.ConsentFile, model: m.ModelFile, kind: str
) -> s.ConsentBinding:
    given = consent.model_dump(exclude={"table"})
    return s.ConsentBinding(
        purpose=purpose,
        **(given | {"in_": None if consent.in_ is None else tuple(consent.in_)}),
        table=None if consent.table is None else _events(purpose, consent.table, model, kind),
    )


def _events(
    purpose: str, table: m.ConsentTableFile, model: m.ModelFile, kind: str
) -> s.ConsentTableSettings:
    return s.ConsentTableSettings(
        name=_table(table.name, kind),
        subject=table.subject,
        matches=table.matches or model.primary_key[0],
        purpose=table.purpose,
        purposes=tuple(table.purposes or (purpose,)),
        state=table.state,
        granted=tuple(table.granted),
        unknown=tuple(table.unknown),
        time=table.time,
        valid_until=table.valid_until,
        without_end=table.without_end,
        source=table.source,
        sources=None if table.sources is None else tuple(table.sources),
    )


def _column(name: str, column: m.ColumnFile, mark: Mark) -> s.ColumnSettings:
    cls, closed, _ = stricter_class(column.cls, mark.cls)
    values = None if column.values is None else tuple(column.values)
    marked = None if mark.cls == "none" else mark.cls
    own = {"values": values, "cls": cls, "mark": marked, "closed": closed}
    return s.ColumnSettings(name=name, **(column.model_dump() | own))


_COMMON = ("type", "kind", "owner", "reason", "endpoint", "limits", "responsibility")


def _destination(root: Path, name: str, d: DestinationPart) -> s.DestinationSettings:
    options: dict[str, object] = {}
    secrets = secret_keys(type(d)) | login_keys(type(d))
    given = d.model_dump(by_alias=True, exclude_none=True)
    for key, value in given.items():
        if key in secrets:
            options[key] = parse_reference(value)
        elif key not in _COMMON:
            options[key] = root / value if key == "path" else value
    owned = d if isinstance(d, Owned) else None
    return s.DestinationSettings(
        name=name,
        type=given["type"],
        kind=given["kind"],
        owner=owned.owner if owned else None,
        reason=owned.reason if owned else None,
        endpoint=_endpoint(d),
        options=options,
        limits=AccountLimits(**given["limits"]) if "limits" in given else None,
        responsibility=responsibility_of(d.responsibility),
    )


def _endpoint(d: DestinationPart) -> str | None:
    """The loopback address chosen; None is the vendor's own."""
    endpoint: str | None = getattr(d, "endpoint", None)
    if endpoint is None or endpoint == d.vendor:
        return None
    return SANDBOX if endpoint == "sandbox" else endpoint


def _warnings(merged: Merged, parsed: Parsed) -> Iterator[s.Problem]:
    """What is accepted and has no effect yet."""
    paths: list[tuple[str, ...]] = [
        ("sources", n, "classify")
        for n, x in parsed.sources.items()
        if not isinstance(getattr(x, "classify", None), str | ClassifyFile | None)
    ]
    for path in paths:
        spot = merged.spots.key(*path)
        yield s.Problem(
            file=spot.file,
            line=spot.line,
            column=spot.column,
            code="not_enforced",
            message=f"{'.'.join(path)} is accepted, but this release does not act on it",
            hint="Do not rely on it yet.",
        )
