"""Rules between the parts of a project: what is named exists, what belongs together is there."""

from __future__ import annotations

import os
from pathlib import Path

from mayfly.config import models as m
from mayfly.config.alerts import AlertFile, MailAlert, is_elsewhere, mail_faults
from mayfly.config.buckets import GcsAnchor, GcsBucket, S3Anchor, S3Bucket
from mayfly.config.destinations import AnyDestination
from mayfly.config.destinations.base import DestinationPart, Owned
from mayfly.config.fields import login_keys
from mayfly.config.files import Merged
from mayfly.config.findings import Findings, shown
from mayfly.config.parse import Parsed, label_of
from mayfly.config.placement import check_placement
from mayfly.config.processors import check_processors
from mayfly.config.residency import placement
from mayfly.config.secrets import CONNECTION
from mayfly.config.telemetry import TelemetryPart, telemetry_faults
from mayfly.domain.names import is_name


def _endpoint(destination: DestinationPart) -> object:
    return getattr(destination, "endpoint", None)


class Checker:
    """Checks a parsed project; an entry that could not be read is passed over in silence."""

    def __init__(self, merged: Merged, parsed: Parsed, findings: Findings) -> None:
        self._merged = merged
        self._spots = merged.spots
        self._parsed = parsed
        self._findings = findings

    def check(self) -> None:
        """Every rule, on every part."""
        for name, model in self._parsed.models.items():
            self._model(name, model)
        for name, destination in self._parsed.destinations.items():
            self._destination(name, destination)
        for name, sync in self._parsed.syncs.items():
            self._sync(name, sync)
        if self._parsed.complete is not None:
            for name, anchor in self._parsed.complete.anchors.items():
                self._anchor(name, anchor)
            for name, alert in self._parsed.complete.alerts.items():
                self._alert(name, alert)
            if self._parsed.complete.telemetry is not None:
                self._telemetry(self._parsed.complete.telemetry)
            self._people(self._parsed.complete.workspace)
            if isinstance(self._parsed.complete.spool, S3Bucket | GcsBucket):
                self._bucket(self._parsed.complete.spool, "spool")
            check_placement(self._parsed.complete, self._spots, self._findings, os.environ)
            self._register(self._parsed.complete)
        self._ids()

    def _reference(self, section: str, name: str, *path: str) -> None:
        """`name` is an entry of the section, even one that is faulty itself."""
        known = list(self._merged.section(section))
        faulty = self._merged.broken or not all(map(is_name, known))
        if name in known or faulty:
            return
        one = section.removesuffix("s")
        label = ".".join(path)
        self._findings.add_unknown(
            self._spots.value(*path), f"unknown_{one}", f"{label}: no such {one}", name, known
        )

    def _model(self, name: str, model: m.ModelFile) -> None:
        at = ("models", name)
        self._reference("sources", model.source, *at, "source")
        bodies = [key for key in ("table", "sql", "file", "ref") if getattr(model, key) is not None]
        if len(bodies) != 1:
            found = " and ".join(bodies) or "none"
            spot = self._spots.key(*at, *bodies[1:2])
            message = f"models.{name}: expected one of table, sql, file and ref, found {found}"
            self._findings.add(spot, "model_body", message)
        if model.sql is not None and not model.sql.strip():
            self._findings.add(
                self._spots.value(*at, "sql"), "empty", f"models.{name}.sql is empty"
            )
        source = self._parsed.sources.get(model.source)
        if model.table is not None and (source is None or source.type != "files"):
            self._table(f"models.{name}.table", model.table, *at, "table")
        for index, column in enumerate(model.primary_key):
            self._key_column(name, model, index, column)
        for column_name, column_file in model.columns.items():
            self._column(name, column_name, column_file)
        for purpose, consent in model.consent.items():
            self._consent(name, model, purpose, consent)

    def _consent(self, name: str, model: m.ModelFile, purpose: str, consent: m.ConsentFile) -> None:
        at, label = ("models", name, "consent", purpose), f"models.{name}.consent.{purpose}"
        values = [key for key in ("equals", "in_") if getattr(consent, key) is not None]
        if consent.column is None and consent.table is None:
            message = f"{label}: key `column` is missing; consent needs it, a `table`, or both"
            self._findings.add(self._spots.key(*at), "missing_key", message)
        elif len(values) != (consent.column is not None):
            found = (
                "one of equals and in" if consent.column else "no equals and no in without column"
            )
            last = tuple(v.rstrip("_") for v in values[-1:])
            spot = self._spots.key(*at, *last)
            self._findings.add(spot, "consent_values", f"{label}: expected {found}")
        if consent.table is not None:
            self._consent_table(label, model, consent.table, *at, "table")

    def _consent_table(
        self, label: str, model: m.ModelFile, table: m.ConsentTableFile, *at: str
    ) -> None:
        source = self._parsed.sources.get(model.source)
        if source is None or source.type != "files":
            self._table(f"{label}.table.name", table.name, *at, "name")
        if table.matches is None and len(model.primary_key) != 1:
            message = (
                f"{label}.table: key `matches` is missing; the primary key has several columns"
            )
            self._findings.add(self._spots.key(*at), "missing_key", message)
        for key, needed in (("without_end", "valid_until"), ("sources", "source")):
            if getattr(table, key) and getattr(table, needed) is None:
                message = f"{label}.table: key `{needed}` is missing; `{key}` needs it"
                self._findings.add(self._spots.key(*at, key), "missing_key", message)
        twice = [value for value in table.unknown if value in table.granted]
        if twice:
            message = f"{label}.table: a state stands in both granted and unknown"
            self._findings.add(self._spots.key(*at, "unknown"), "consent_values", message)

    def _register(self, project: m.ProjectFile) -> None:
        residency = project.workspace.residency
        where = placement(residency.provider, residency.geography, residency.region)
        check_processors(
            self._parsed.processors,
            project.processing,
            where.geography,
            self._spots,
            self._findings,
        )
        mail = project.processing.mail
        channel = project.alerts.get(mail or "")
        if mail is not None and not isinstance(channel, MailAlert):
            message = "processing.mail: expected a channel of type mail under alerts"
            spot = self._spots.value("processing", "mail")
            self._findings.add(spot, "unknown_channel", message)

    def _people(self, workspace: m.WorkspaceFile) -> None:
        """Two people are two keys: who has another's key could answer himself."""
        owners: dict[str, str] = {}
        for name, keys in workspace.people.items():
            for key in keys:
                if owners.setdefault(key, name) != name:
                    message = f"workspace.people.{name}: a key of {owners[key]} stands here, too"
                    spot = self._spots.key("workspace", "people", name)
                    self._findings.add(spot, "shared_ssh_key", message)
        if workspace.approvals == "two_people" and len(workspace.people) < 2:
            message = "workspace.approvals: two_people needs two under workspace.people"
            self._findings.add(self._spots.key("workspace", "approvals"), "people_missing", message)

    def _anchor(self, name: str, anchor: m.AnchorFile) -> None:
        at = ("anchors", name)
        self._receiver(anchor.region, *at, "region")
        if isinstance(anchor, m.SourceAnchor):
            self._reference("sources", anchor.source, *at, "source")
            source = self._parsed.sources.get(anchor.source)
            if source is not None and source.state != "source":
                message = f"anchors.{name}.source: expected a source that is written"
                self._findings.add(self._spots.value(*at, "source"), "source_not_written", message)
        if isinstance(anchor, m.FolderAnchor):
            self._anchor_folder(name, anchor.path)
        if isinstance(anchor, S3Anchor | GcsAnchor):
            self._bucket(anchor, *at)

    def _alert(self, name: str, alert: AlertFile) -> None:
        self._receiver(alert.region, "alerts", name, "region")
        for key, code, expected in mail_faults(alert) if isinstance(alert, MailAlert) else ():
            spot = self._spots.value("alerts", name, key)
            self._findings.add(spot, code, f"alerts.{name}.{key}: {expected}")

    def _telemetry(self, telemetry: TelemetryPart) -> None:
        residency = self._parsed.complete.workspace.residency if self._parsed.complete else None
        for key, code, expected in telemetry_faults(telemetry, residency):
            spot = self._spots.value("telemetry", key)
            self._findings.add(spot, code, f"telemetry.{key}: {expected}")

    def _receiver(self, region: str | None, *at: str) -> None:
        """Ids and counts stay in the workspace's geography, too, as far as it is declared."""
        complete = self._parsed.complete
        residency = complete.workspace.residency if complete else m.Residency()
        if is_elsewhere(region, geography=residency.geography, region=residency.region):
            message = f"{'.'.join(at)}: expected a receiver in the workspace's geography"
            self._findings.add(self._spots.value(*at), "region_elsewhere", message)

    def _anchor_folder(self, name: str, path: str) -> None:
        spot, label = self._spots.value("anchors", name, "path"), f"anchors.{name}.path"
        if not path.startswith(("/", "~/")):
            message = f"{label}: expected an absolute path, or one from ~/"
            self._findings.add(spot, "relative_path", message)
        elif Path(path).expanduser().resolve().is_relative_to(self._merged.root.resolve()):
            message = f"{label}: expected a folder outside the project, which somebody else keeps"
            self._findings.add(spot, "anchor_inside", message)

    def _bucket(self, bucket: S3Bucket | GcsBucket, *at: str) -> None:
        """Credentials are given whole, and once."""
        label = ".".join(at)
        if isinstance(bucket, GcsBucket):
            if bucket.service_account_key is not None and bucket.access_token is not None:
                message = f"{label}: expected one of service_account_key and access_token"
                spot = self._spots.key(*at, "access_token")
                self._findings.add(spot, "two_credentials", message)
            return
        given = [
            key
            for key in ("access_key_id", "secret_access_key", "session_token")
            if getattr(bucket, key) is not None
        ]
        for key in ("access_key_id", "secret_access_key"):
            if given and key not in given:
                message = f"{label}: key `{key}` is missing; `{given[0]}` needs it"
                self._findings.add(self._spots.key(*at, given[0]), "missing_key", message)

    def _table(self, label: str, table: str, *path: str) -> None:
        parts = table.split(".")
        if len(parts) > 2 or not all(part.strip() for part in parts):
            message = f"{label}: expected name or schema.name"
            self._findings.add(self._spots.value(*path), "bad_table", message)

    def _key_column(self, name: str, model: m.ModelFile, index: int, column: str) -> None:
        spot = self._spots.value("models", name, "primary_key", index)
        label = f"models.{name}.primary_key"
        if column not in model.columns:
            message = f"{label}: column {shown(column)} does not stand in columns"
            self._findings.add_unknown(spot, "unknown_column", message, column, model.columns)
        elif column in model.primary_key[:index]:
            message = f"{label}: column {shown(column)} stands twice"
            self._findings.add(spot, "duplicate_column", message)

    def _column(self, name: str, column_name: str, column: m.ColumnFile) -> None:
        at = ("models", name, "columns", column_name)
        if column.default_country is not None and column.default_country_column is not None:
            message = f"{label_of(at)}: expected one of default_country and default_country_column"
            self._findings.add(
                self._spots.key(*at, "default_country_column"), "two_countries", message
            )
        low, high = column.minimum, column.maximum
        if low is not None and high is not None and low > high:
            message = f"{label_of(at)}: minimum is above maximum"
            self._findings.add(self._spots.value(*at, "minimum"), "out_of_range", message)

    def _destination(self, name: str, destination: AnyDestination) -> None:
        at = ("destinations", name)
        if isinstance(destination, Owned) and destination.kind == "internal":
            for key in ("owner", "reason"):
                if getattr(destination, key) is None:
                    message = f"destinations.{name}: kind internal needs `{key}`"
                    hint = "Say who answers for it, and why it is your own system."
                    self._findings.add(self._spots.key(*at, "kind"), "missing_key", message, hint)
        given = [key for key in destination.together if getattr(destination, key) is not None]
        for key in destination.together if given else ():
            if key not in given:
                message = f"destinations.{name}: key `{key}` is missing; `{given[0]}` needs it"
                self._findings.add(self._spots.key(*at, given[0]), "missing_key", message)
        self._logins(name, destination)
        if isinstance(destination, S3Bucket):
            self._bucket(destination, *at)
        for key in sorted(login_keys(type(destination))):
            kind, _, other = str(getattr(destination, key, "")).partition(":")
            if kind == CONNECTION:
                self._connection(name, destination, key, other)

    def _logins(self, name: str, destination: AnyDestination) -> None:
        given = [key for key in destination.logins if getattr(destination, key) is not None]
        if not destination.logins or len(given) == 1:
            return
        at, wanted = ("destinations", name), " and ".join(destination.logins)
        code = "two_credentials" if given else "missing_key"
        spot = self._spots.key(*at, *given[1:2])
        self._findings.add(spot, code, f"destinations.{name}: expected one of {wanted}")

    def _connection(self, name: str, destination: AnyDestination, key: str, other: str) -> None:
        """It is this destination's own, or that of one which goes to the same place."""
        at = ("destinations", name, key)
        self._reference("destinations", other, *at)
        owner = self._parsed.destinations.get(other)
        if owner is None:
            return
        same = owner.type == destination.type and _endpoint(owner) == _endpoint(destination)
        if not same or getattr(owner, key, None) != f"{CONNECTION}:{other}":
            label = ".".join(at)
            message = f"{label}: destination {other} does not log in there by its own connection"
            hint = "Name a destination of the same type and endpoint, with its own connection."
            self._findings.add(self._spots.value(*at), "connection_differs", message, hint)

    def _sync(self, name: str, sync: m.SyncFile) -> None:
        at = ("syncs", name)
        self._reference("models", sync.model, *at, "model")
        self._reference("destinations", sync.destination, *at, "destination")
        model = self._parsed.models.get(sync.model)
        if model is not None:
            self._policy(sync.model, model, name, sync)
        for field, column in sync.mapping.items() if model else ():
            if model and m.is_told(model, column):
                continue
            if model and column not in model.columns and model.policy == "block_all":
                message = f"syncs.{name}.mapping: model {sync.model} has no column {shown(column)}"
                self._findings.add_unknown(
                    self._spots.value(*at, "mapping", field),
                    "unknown_column",
                    message,
                    column,
                    model.columns,
                )
        for index, field in enumerate(sync.key):
            self._key_field(name, sync, index, field)
        destination = self._parsed.destinations.get(sync.destination)
        if destination is not None:
            self._fit(name, sync, destination)

    def _policy(self, name: str, model: m.ModelFile, sync_name: str, sync: m.SyncFile) -> None:
        """What nobody has named goes to no third party, and what is blocked goes nowhere."""
        destination = self._parsed.destinations.get(sync.destination)
        external = destination is not None and destination.kind != "internal"
        if model.policy != "block_all" and external:
            message = (
                f"models.{name}.policy: {model.policy} is for internal destinations only, and sync "
                f"{sync_name} goes to {sync.destination}"
            )
            hint = "Name each column under `columns`, and leave `policy` out."
            spot = self._spots.value("models", name, "policy")
            self._findings.add(spot, "policy_external", message, hint)
        for field, column in sync.mapping.items():
            if column in model.blocked:
                message = f"syncs.{sync_name}.mapping: model {sync.model} blocks {shown(column)}"
                spot = self._spots.value("syncs", sync_name, "mapping", field)
                self._findings.add(spot, "column_blocked", message)

    def _key_field(self, name: str, sync: m.SyncFile, index: int, field: str) -> None:
        spot = self._spots.value("syncs", name, "key", index)
        if field not in sync.mapping:
            message = f"syncs.{name}.key: field {shown(field)} is not mapped"
            self._findings.add_unknown(spot, "key_not_mapped", message, field, sync.mapping)
        elif field in sync.key[:index]:
            message = f"syncs.{name}.key: field {shown(field)} stands twice"
            self._findings.add(spot, "duplicate_column", message)

    def _fit(self, name: str, sync: m.SyncFile, destination: AnyDestination) -> None:
        """The sync's own keys are those its destination's type needs."""
        at, kind = ("syncs", name), destination.type
        modes = destination.modes
        if sync.mode not in modes:
            message = f"syncs.{name}.mode: a destination of type {kind} has no such mode"
            self._findings.add_unknown(
                self._spots.value(*at, "mode"), "mode_not_supported", message, "", modes
            )
        needed: tuple[str, ...] = destination.needs
        if sync.mode in destination.keyed:
            needed = (*needed, "key")
        if sync.mode in destination.listed:
            needed = (*needed, "audience")
        useful = {*needed, *destination.needs, *destination.takes}
        for key in ("audience", "table", "key"):
            given = getattr(sync, key) not in (None, [])
            if key in needed and not given:
                message = f"syncs.{name}: key `{key}` is missing; destination type {kind} needs it"
                self._findings.add(self._spots.key(*at), "missing_key", message)
            elif given and key not in useful:
                message = f"syncs.{name}: `{key}` means nothing to destination type {kind}"
                self._findings.add(self._spots.key(*at, key), "key_of_other_type", message)
        if sync.table is not None and destination.table_name:
            self._table(f"syncs.{name}.table", sync.table, *at, "table")

    def _ids(self) -> None:
        seen: dict[str, str] = {}
        for name, sync in self._parsed.syncs.items():
            if sync.id in seen:
                message = f"syncs.{name}.id: sync {seen[sync.id]} has this id, too"
                hint = "An id names a sync's state; give each sync its own."
                self._findings.add(
                    self._spots.value("syncs", name, "id"), "duplicate_id", message, hint
                )
            seen.setdefault(sync.id, name)
