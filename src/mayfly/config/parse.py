"""The merged files as typed parts; each fault becomes a problem at its own place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from mayfly.config import models as m
from mayfly.config.alerts import AlertFile
from mayfly.config.buckets import SpoolFile
from mayfly.config.codes import CODES
from mayfly.config.destinations import DestinationFile
from mayfly.config.destinations.base import LimitsPart
from mayfly.config.fields import Part
from mayfly.config.files import SECTIONS, Merged
from mayfly.config.findings import Findings, Path, Spot, name_shown, shown, suggestion
from mayfly.config.keys import KeysFile
from mayfly.config.parties import (
    ControllerFile,
    OrganisationFile,
    ResponsibilityFile,
    TermsFile,
)
from mayfly.config.plugins import PluginFile, offering
from mayfly.config.processors import (
    DpaFile,
    ProcessorFile,
    RegisterFile,
    SecurityFile,
    TransferTermsFile,
)
from mayfly.config.source_models import AnySource, SourceFile
from mayfly.domain.names import is_name

NAME_HINT = "Use a-z, 0-9 and _, begin with a letter, at most 63 characters."
_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "sources": TypeAdapter(SourceFile),
    "models": TypeAdapter(m.ModelFile),
    "destinations": TypeAdapter(DestinationFile),
    "syncs": TypeAdapter(m.SyncFile),
    "processors": TypeAdapter(ProcessorFile),
}
_REFERENCE_HINT = "Use env:NAME or file:/PATH (vault:, gcp-sm: and aws-sm: are known, too)."
_HINTS = {
    "bad_schedule": "Write every 15 minutes, or 0 6 * * * Europe/Paris; 30 days are the longest.",
    "bad_name": NAME_HINT,
    "literal_secret": _REFERENCE_HINT,
    "bad_reference": "Write env:META_TOKEN, for instance.",
    "relative_secret": "Write file:/run/secrets/token or file:~/token.",
    "connection_elsewhere": _REFERENCE_HINT,
    "store_url": "Use sqlite, postgresql+psycopg://HOST/NAME without a password, or env:NAME.",
    "endpoint_refused": "Use sandbox, http://127.0.0.1:PORT, or leave it out for the vendor's own.",
    "bad_country": "Write FR, for instance.",
    "no_transactions": "Write local, or leave it out: the state is kept beside the project, in "
    ".mayfly/state.",
}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "finite_number": "a finite number",
}


@dataclass(kw_only=True)
class Parsed:
    """What could be read; `complete` is None where the project as a whole is faulty."""

    complete: m.ProjectFile | None = None
    sources: dict[str, AnySource] = field(default_factory=dict)
    models: dict[str, m.ModelFile] = field(default_factory=dict)
    destinations: dict[str, DestinationFile] = field(default_factory=dict)
    syncs: dict[str, m.SyncFile] = field(default_factory=dict)
    processors: dict[str, ProcessorFile] = field(default_factory=dict)


def parse(merged: Merged, findings: Findings) -> Parsed:
    """Read every part on its own, so that one fault does not hide another."""
    parsed = Parsed()
    if merged.main:
        head = {key: value for key, value in merged.data.items() if key not in SECTIONS}
        try:
            parsed.complete = m.ProjectFile.model_validate(head)
        except ValidationError as error:
            _explain_all(error, (), merged, findings)
    for section in SECTIONS:
        for name in merged.section(section):
            parse_entry(merged, section, name, parsed, findings)
    return parsed


def parse_entry(
    merged: Merged, section: str, name: str, parsed: Parsed, findings: Findings
) -> None:
    """Read one entry of a section into `parsed`."""
    if not is_name(name):
        message = f"{section}: {shown(name)} cannot be a name"
        findings.add(merged.spots.key(section, name), "bad_name", message, NAME_HINT)
        return
    if section == "sources" and _is_undeclared(merged, name, findings):
        return
    adapter = _ADAPTERS[section]
    if section == "sources" and merged.plugins:
        adapter = TypeAdapter(source_union(model for _, model in merged.plugins.values()))
    try:
        entry = adapter.validate_python(merged.section(section)[name])
    except ValidationError as error:
        _explain_all(error, (section, name), merged, findings)
        return
    getattr(parsed, section)[name] = entry


def source_union(plugins: Iterable[type[Part]]) -> Any:
    """What may stand under `sources`, with the kinds that plug-ins add."""
    models = [*variants("sources").values(), *plugins]
    return Annotated[reduce(or_, models), Field(discriminator="type")]


def _is_undeclared(merged: Merged, name: str, findings: Findings) -> bool:
    """Whether the source's type is one that an installed distribution would add, were it named."""
    path = ("sources", name, "type")
    type_ = value_at(merged.data, path)
    if not isinstance(type_, str) or not is_name(type_):
        return False
    if type_ in merged.plugins or type_ in variants("sources"):
        return False
    written = offering(type_)
    if not written:
        return False
    message = f"sources.{name}.type: a plug-in that the project does not name adds this type"
    hint = f"Where you trust it, write in mayfly.yml: {written}"
    findings.add(merged.spots.value(*path), "plugin_undeclared", message, hint)
    return True


def _explain_all(error: ValidationError, base: Path, merged: Merged, findings: Findings) -> None:
    for item in error.errors(include_input=False, include_url=False):
        path, rest = _written(base, item["loc"], merged)
        _explain(str(item["type"]), item.get("ctx", {}), path, rest, merged, findings)


def _written(base: Path, loc: Path, merged: Merged) -> tuple[Path, Path]:
    """The part of pydantic's location that stands in the files, and what follows it.

    Its locations also hold the tags of unions, which nobody wrote.
    """
    path, rest = base, list[str | int]()
    for part in loc:
        if (*path, part) in merged.spots:
            path = (*path, part)
            rest = []
        else:
            rest.append(part)
    return path, tuple(rest)


def _explain(
    kind: str,
    context: Mapping[str, Any],
    path: Path,
    rest: Path,
    merged: Merged,
    findings: Findings,
) -> None:
    spots, label = merged.spots, label_of(path)
    if rest[-1:] == ("[key]",):
        message = f"{label}: {_CUSTOM.get(kind, 'this key cannot be used here')}"
        code = kind if kind in CODES else "bad_key"
        findings.add(spots.key(*path), code, message, _HINTS.get(kind, ""))
    elif kind in ("missing", "union_tag_not_found"):
        key = "type" if kind == "union_tag_not_found" else rest[-1]
        spot = spots.key(*path) if path else Spot()
        tagged = key == "type" and path
        hint = suggestion("", _variants_in(str(path[0]), merged)) if tagged else ""
        hint = hint or meaning_of(path, str(key), merged)
        findings.add(spot, "missing_key", f"{prefix(label)}key `{key}` is missing", hint)
    elif kind == "extra_forbidden":
        _unknown_key(path, merged, findings)
    elif kind in ("literal_error", "union_tag_invalid"):
        path = (*path, tag_key(path)) if kind == "union_tag_invalid" else path
        value = value_at(merged.data, path)
        tags = _tags(context)
        findings.add(
            spots.value(*path),
            "not_allowed",
            f"{label_of(path)}: this value is not allowed",
            suggestion(value if isinstance(value, str) and len(tags) > 1 else "", tags),
        )
    elif kind in _EXPECTED:
        found = value_at(merged.data, path)
        number_for_text = kind == "string_type" and isinstance(found, int | float)
        findings.add(
            spots.value(*path),
            "wrong_type",
            f"{prefix(label)}expected {_EXPECTED[kind]}, found {_described(found)}",
            "Quote it." if number_for_text else "",
        )
    else:
        _explain_value(kind, context, path, merged, findings)


def _explain_value(
    kind: str, context: Mapping[str, Any], path: Path, merged: Merged, findings: Findings
) -> None:
    spot, label = merged.spots.value(*path), label_of(path)
    if kind == "too_short":
        meaning = meaning_of(path[:-1], str(path[-1]), merged)
        findings.add(spot, "empty", f"{label}: expected at least one member", meaning)
    elif kind.startswith(("greater_than", "less_than")):
        words = {
            "gt": "more than",
            "ge": "at least",
            "lt": "less than",
            "le": "at most",
        }
        limits = [f"{words[key]} {context[key]:,g}" for key in words if key in context]
        findings.add(spot, "out_of_range", f"{label}: expected {' and '.join(limits)}")
    else:
        message = _CUSTOM.get(kind, "this value is not allowed")
        code = kind if kind in _CUSTOM else "not_allowed"
        hint = _FORMS.get(str(path[-1]), "") if kind == "bad_format" else _HINTS.get(kind, "")
        findings.add(spot, code, f"{label}: {message}", hint)


_FORMS = {
    "distribution": "Write mayfly-jsonl, for instance.",
    "version": "Write 1.0.0, for instance: the one that is installed.",
    "account_id": "Write the digits that Ads Manager or Google Ads shows, quoted, without dashes.",
    "login_account_id": "Write the digits that Google Ads shows, quoted, without dashes.",
    "api_version": "Write v26.0, for instance.",
    "memory_limit": "Write 2GB, for instance.",
    "module": "Write an absolute path.",
    "ca_file": "Write an absolute path.",
    "remote": "Write sc://spark.example.com:15002; token and certificates have keys of their own.",
    "region": "Write eu-west-1, for instance, or as Google does europe-west1.",
    "bucket": "Write its name alone: 3 to 63 small letters, digits, dots, dashes and underscores.",
    "prefix": "Write mayfly/shop, for instance, without a slash at its ends.",
    "key_id": "Write an id, an ARN, or alias/NAME.",
    **dict.fromkeys(
        "on announced effective objection_deadline retired signed expires date next_due".split(),
        "Write a day as YYYY-MM-DD.",
    ),
    "key_name": "Write projects/P/locations/L/keyRings/R/cryptoKeys/K.",
}
_CUSTOM = {
    "bad_name": "this cannot be a name",
    "literal_secret": "a secret must be a reference, never the secret itself",
    "bad_reference": "expected the name of an environment variable after env:",
    "relative_secret": "expected an absolute path, or one from ~/, after file:",
    "connection_elsewhere": "connection: is for logging in to destinations only",
    "store_url": "this is not an address of a store",
    "endpoint_refused": "this endpoint is refused",
    "no_transactions": "this engine has no transactions to keep a state by",
    "bad_country": "expected a country code of two capital letters",
    "bad_schedule": "this is neither an interval nor five fields of cron with a known zone",
    "bad_ssh_key": "expected a public SSH key: ssh-ed25519, ecdsa-sha2-nistp256, -384, -521, or "
    "ssh-rsa of 2048 bits or more",
    "bad_webhook": "expected https://HOST/PATH, or literal loopback, without a query",
    "bad_format": "this text has another form than expected",
    "bad_text": "expected 1 to 255 characters on one line",
    "wrong_type": "expected true, false, a whole number or text",
}


_WHY_NOT = {"epoch_days": "There a version costs and ends days later: rotate and destroy by hand."}


def _unknown_key(path: Path, merged: Merged, findings: Findings) -> None:
    key, spot = str(path[-1]), merged.spots.key(*path)
    parent, allowed = label_of(path[:-1]), keys_at(path[:-1], merged)
    owners = _owners(path, key, merged)
    if owners and key not in allowed:
        kind = tag_at(path[:-1], merged)
        message = f"{parent}: `{key}` is no key of type {kind}, but of {', '.join(owners)}"
        hint = _WHY_NOT.get(key) or suggestion("", allowed)
        findings.add(spot, "key_of_other_type", message, hint)
        return
    message = f"{prefix(parent)}unknown key {shown(key)}"
    findings.add_unknown(spot, "unknown_key", message, key, allowed)


def _owners(path: Path, key: str, merged: Merged) -> list[str]:
    """The types of the same section that do have the key."""
    if _tagged(path[:-1]) is None:
        return []
    known = _variants_in(str(path[0]), merged)
    return [tag for tag, model in known.items() if key in keys_of(model)]


# Sections whose parts are of several kinds. Those of `_SINGLE` are one part, which is of that kind
# where none is named; the others hold parts by name.
_SINGLE = {"keys": "local", "spool": "folder"}
_TAGGED: dict[str, Any] = {
    "sources": SourceFile,
    "destinations": DestinationFile,
    "anchors": m.AnchorFile,
    "alerts": AlertFile,
    "keys": KeysFile,
    "spool": SpoolFile,
}


def _tagged(path: Path) -> str | None:
    """The section whose kinds a place chooses among; None where it is no such part."""
    section = str(path[0]) if path and len(path) == (1 if path[0] in _SINGLE else 2) else ""
    return section if section in _TAGGED else None


def variants(section: str) -> dict[str, type[Part]]:
    """The models of a section by the `type` (of `keys`: `provider`) that chooses them."""
    union, key = get_args(_TAGGED[section])[0], tag_key((section,))
    return {get_args(x.model_fields[key].annotation)[0]: x for x in get_args(union)}


def _variants_in(section: str, merged: Merged) -> dict[str, type[Part]]:
    """As `variants`, with those that the project's plug-ins add."""
    added = merged.plugins if section == "sources" else {}
    return variants(section) | {tag: model for tag, (_, model) in added.items()}


def tag_key(path: Path) -> str:
    """The key that chooses among the models of a place."""
    return "provider" if path[:1] == ("keys",) else "type"


def tag_at(path: Path, merged: Merged) -> str:
    """What chooses there, or is chosen where nothing does."""
    tag = value_at(merged.data, (*path, tag_key(path)))
    return _SINGLE.get(str(path[0]), str(tag)) if tag is None else str(tag)


def keys_of(model: type[Part]) -> list[str]:
    """The keys of a part, as they are written."""
    return [info.alias or name for name, info in model.model_fields.items()]


def keys_at(path: Path, merged: Merged) -> list[str]:
    """The keys that may stand at a place of the files."""
    model = model_at(path, merged)
    return keys_of(model) if model else [tag_key(path)]


# By section and what follows the name within it.
_PARTS: Mapping[Path, type[Part]] = {
    ("organisation",): OrganisationFile,
    ("controller",): ControllerFile,
    ("destinations", "limits"): LimitsPart,
    ("destinations", "responsibility"): ResponsibilityFile,
    ("destinations", "responsibility", "terms"): TermsFile,
    ("processing",): RegisterFile,
    ("processors",): ProcessorFile,
    ("processors", "dpa"): DpaFile,
    ("processors", "security"): SecurityFile,
    ("processors", "transfer"): TransferTermsFile,
}


def model_at(path: Path, merged: Merged) -> type[Part] | None:
    """The part that stands at a place; None where its `type` does not tell."""
    known = _PARTS.get((*path[:1], *path[2:]))
    if known is not None:
        return known
    match path:
        case ():
            return m.ProjectFile
        case ("workspace",):
            return m.WorkspaceFile
        case ("workspace", "residency"):
            return m.Residency
        case ("workspace", "residency", "transfers", _):
            return m.TransferFile
        case ("store",) | ("targets", _, "store"):
            return m.StoreFile
        case ("targets", _):
            return m.TargetFile
        case _ if (section := _tagged(path)) is not None:
            return _variants_in(section, merged).get(tag_at(path, merged))
        case ("dbt",) | ("targets", _, "dbt"):
            return m.DbtFile
        case ("plugins", _):
            return PluginFile
        case ("models", _):
            return m.ModelFile
        case ("models", _, "columns", _):
            return m.ColumnFile
        case ("models", _, "consent", _):
            return m.ConsentFile
        case ("models", _, "consent", _, "table"):
            return m.ConsentTableFile
        case _:
            return m.SyncFile


def meaning_of(path: Path, key: str, merged: Merged) -> str:
    """What a key means, with an example where there is one; empty where it is not known."""
    model = model_at(path, merged)
    for name, info in model.model_fields.items() if model else ():
        if (info.alias or name) == key:
            example = f" For instance {info.examples[0]}." if info.examples else ""
            return f"{info.description}{example}"
    return ""


def label_of(path: Path) -> str:
    """A place as messages name it: `syncs.vip.mode`."""
    parts = [
        name_shown(str(part)) if re.fullmatch(r"\w{1,63}", str(part)) else shown(part)
        for part in path
    ]
    return ".".join(parts)


def prefix(label: str) -> str:
    """`label: `, or nothing for the whole project."""
    return f"{label}: " if label else ""


def value_at(data: object, path: Path) -> object:
    """The value at a place, None where there is none."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part] if part < len(data) else None
        else:
            return None
    return data


def _tags(context: Mapping[str, Any]) -> list[str]:
    text = str(context.get("expected_tags") or context.get("expected") or "")
    return re.findall(r"'([^']*)'", text) or ([text] if text else [])


def _described(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "keys and values"
