"""The reference page of the project files and their JSON Schema, made from the models.

`python -m mayfly.config.reference docs/reference` writes both.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mayfly.config import fields as f
from mayfly.config import models as m
from mayfly.config import processors as p
from mayfly.config.codes import CODES
from mayfly.config.destinations.base import DestinationPart, LimitsPart
from mayfly.config.parse import variants
from mayfly.config.parties import (
    ControllerFile,
    OrganisationFile,
    ResponsibilityFile,
    TermsFile,
)
from mayfly.config.plugins import PluginFile
from mayfly.config.schema import project_schema
from mayfly.config.source_models import ClassifyFile
from mayfly.config.telemetry import ServePart, TelemetryPart

PAGE = "project.md"
SCHEMA = "json/project.schema.json"
_WORDS: dict[object, str] = {
    f.Name: "name",
    f.Reference: "secret reference",
    f.Login: "secret reference or connection",
    f.StoreUrl: "address",
    f.Country: "country code",
    f.StateSchema: "name",
    f.Account: "text",
    f.ApiVersion: "text",
    f.Digits: "text",
    f.GoogleAdsAccount: "text",
    f.Memory: "text",
    f.Duration: "text",
    f.DistributionName: "text",
    f.PluginVersion: "text",
    f.Loopback: "address",
    f.HttpsAddress: "address",
    f.AwsRegion: "text",
    f.BucketName: "text",
    f.BucketPrefix: "text",
    f.GcsLocation: "text",
    f.AwsKey: "text",
    f.GcpKey: "text",
    f.PathPart: "text",
    p.HostPattern: "host",
    p.Probe: "address",
    p.Category: "category",
    f.AbsolutePath: "path",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
}
_INTRODUCTION = """\
# Project files

Made from the code by `python -m mayfly.config.reference docs/reference`; a test fails where it is
out of date. How to write them: [project-files.md](../howto/project-files.md).

A key without a default must be given. A *name* is `[a-z][a-z0-9_]{0,62}`. A *secret reference* is
`env:NAME`, `file:/PATH` or `file:~/PATH`; `vault:`, `gcp-sm:` and `aws-sm:` are accepted and not
resolved by this release. A *connection* is `connection:NAME`, what
[`mayfly connect NAME`](../howto/connect.md) stored.
"""


def reference_page() -> str:
    """The page as Markdown."""
    parts = [_INTRODUCTION]
    parts.append(_section("The project", m.ProjectFile))
    parts.append(_section("`workspace`", m.WorkspaceFile))
    parts.append(_section("`workspace.residency`", m.Residency))
    parts.append(_section("`workspace.residency.transfers.COUNTRY`", m.TransferFile))
    parts.append(_section("`organisation`", OrganisationFile))
    parts.append(_section("`controller`", ControllerFile))
    for tag, model in variants("keys").items():
        parts.append(_section(f"`keys`, provider `{tag}`", model))
    parts.append(_section("`store`", m.StoreFile))
    for tag, model in variants("spool").items():
        parts.append(_section(f"`spool`, type `{tag}`", model))
    parts.append(_section("`dbt`", m.DbtFile))
    for tag, model in variants("anchors").items():
        parts.append(_section(f"`anchors.NAME`, type `{tag}`", model))
    for tag, model in variants("alerts").items():
        parts.append(_section(f"`alerts.NAME`, type `{tag}`", model))
    parts.append(_section("`telemetry`", TelemetryPart))
    parts.append(_section("`serve`", ServePart))
    parts.append(_section("Members of `plugins`", PluginFile))
    parts.append(_section("`targets.NAME`", m.TargetFile))
    for tag, model in variants("sources").items():
        parts.append(_section(f"`sources.NAME`, type `{tag}`", model))
    parts.append(_section("`sources.NAME.classify`, where free text is read", ClassifyFile))
    parts.append(_section("`models.NAME`", m.ModelFile))
    parts.append(_section("`models.NAME.columns.COLUMN`", m.ColumnFile))
    parts.append(_section("`models.NAME.consent.PURPOSE`", m.ConsentFile))
    parts.append(_section("`models.NAME.consent.PURPOSE.table`", m.ConsentTableFile))
    for tag, model in variants("destinations").items():
        parts.append(_section(f"`destinations.NAME`, type `{tag}`", model))
        for key, (title, inner) in _inner(model).items():
            parts.append(_section(f"`destinations.NAME.{key}.{title}`", inner))
    parts.append(_section("`destinations.NAME.limits`", LimitsPart))
    parts.append(_section("`destinations.NAME.responsibility`", ResponsibilityFile))
    parts.append(_section("`destinations.NAME.responsibility.terms`", TermsFile))
    parts.append(_section("`syncs.NAME`", m.SyncFile))
    parts.append(_section("`processing`", p.RegisterFile))
    parts.append(_section("`processors.NAME`", p.ProcessorFile))
    parts.append(_section("`processors.NAME.dpa`", p.DpaFile))
    parts.append(_section("`processors.NAME.security`", p.SecurityFile))
    parts.append(_section("`processors.NAME.transfer`", p.TransferTermsFile))
    lines = ["## Codes of problems", "", "| Code | Found |", "|---|---|"]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in CODES.items()]
    parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def schema_text() -> str:
    """The JSON Schema as it is stored."""
    return json.dumps(project_schema(), indent=2, ensure_ascii=False) + "\n"


def _inner(model: type[f.Part]) -> Mapping[str, tuple[str, type[f.Part]]]:
    return model.inner if issubclass(model, DestinationPart) else {}


def _section(title: str, model: type[f.Part]) -> str:
    lines = [f"## {title}", "", re.sub(r"\s+", " ", model.__doc__ or "").strip(), ""]
    lines += ["| Key | Takes | Default | Meaning |", "|---|---|---|---|"]
    lines += list(_rows(model))
    return "\n".join(lines) + "\n"


def _rows(model: type[f.Part]) -> Iterator[str]:
    fields = sorted(
        model.model_fields.items(), key=lambda item: item[0] not in ("type", "provider")
    )
    for name, info in fields:
        key = info.alias or name
        meaning = (info.description or "").replace("|", "\\|")
        if info.examples:
            meaning += f" Example: `{json.dumps(info.examples[0]).strip(chr(34))}`."
        yield f"| `{key}` | {_takes(_declared(model, name))} | {_default(info)} | {meaning} |"


def _declared(model: type[f.Part], name: str) -> Any:
    """The annotation as written: pydantic takes `Annotated` apart, and our names with it."""
    info = model.model_fields[name]
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return ""
    default = info.get_default(call_default_factory=True, validated_data={})
    if default in (None, "", [], {}) or isinstance(default, f.Part):
        return "none"
    return f"`{default}`"


def _takes(kind: Any) -> str:
    for known, word in _WORDS.items():
        if kind == known:
            return word
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(kind, inner)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is list:
        return f"list of {_takes(inner[0])}"
    if origin is dict:
        return "keys" if inner[1] is object else f"{_takes(inner[0])}: {_takes(inner[1])}"
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_takes(x) for x in inner if x is not type(None)))
    return "keys"


def _annotated(kind: Any, inner: tuple[Any, ...]) -> str:
    if kind == f.Line:
        return "text"
    if kind == f.Scalar:
        return "true, false, whole number or text"
    if any(isinstance(x, f.VendorEndpoint) for x in inner[1:]):
        return "address"
    checks = _checks(inner)
    for known, word in _WORDS.items():
        if get_origin(known) is Annotated:
            (check,) = _checks(get_args(known))
            if check in checks:
                return word
    if any(getattr(x, "discriminator", None) for x in inner[1:]):
        return "keys"
    return _takes(inner[0])


def _checks(inner: tuple[Any, ...]) -> set[object]:
    found = (x if isinstance(x, f.Formed) else getattr(x, "func", None) for x in inner[1:])
    return {check for check in found if check is not None}


def write(folder: Path) -> None:
    """Write page and schema below `folder`."""
    (folder / SCHEMA).parent.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(reference_page(), encoding="utf-8")
    (folder / SCHEMA).write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
