"""The least rights that a project needs at BigQuery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mayfly.connectors.sources.bigquery_connect import member_of
from mayfly.domain.settings import SecretRef
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.ports.source_spec import GrantRequest

_SQL = BigqueryDialect()


def bigquery_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again.

    Raises:
        ConfigError: `credentials_invalid`; `secret_missing`.
    """
    settings = request.source.settings
    reference = settings.options.get("credentials")
    secret = request.source.resolve(reference) if isinstance(reference, SecretRef) else None
    member = member_of(settings.name, secret)
    project, dataset = str(settings.options["project"]), str(settings.options["dataset"])
    lines = [
        "-- In a shell, since no GRANT gives it: gcloud projects add-iam-policy-binding "
        f"{project} --member={member} --role=roles/bigquery.jobUser"
    ]
    read = dict.fromkeys((r.schema or dataset, r.name) for r in request.reads)
    schemas = dict.fromkeys([dataset, *(schema for schema, _ in read)])
    lines += [_grant("metadataViewer", "SCHEMA", (project, s), member) for s in schemas]
    lines += [_grant("dataViewer", "TABLE", (project, s, t), member) for s, t in read]
    if settings.state == "source":
        location = str(settings.options.get("location", "EU"))
        lines += _state(project, settings.state_schema, location, member)
    return lines


def _state(project: str, schema: str, location: str, member: str) -> Iterator[str]:
    """Made for the account, which so needs no right to make any other."""
    yield (
        f"CREATE SCHEMA IF NOT EXISTS {_named((project, schema))} "
        f"OPTIONS(location={_SQL.literal(location)});"
    )
    yield _grant("dataEditor", "SCHEMA", (project, schema), member)


def _grant(role: str, kind: str, name: Sequence[str], member: str) -> str:
    return f'GRANT `roles/bigquery.{role}` ON {kind} {_named(name)} TO "{member}";'


def _named(parts: Sequence[str]) -> str:
    """A schema that is named with its project has it twice; the last counts."""
    whole = [p for part in parts for p in part.split(".")]
    wanted = whole[-len(parts) :] if len(whole) > len(parts) else whole
    return ".".join(_SQL.quote(part) for part in wanted)
