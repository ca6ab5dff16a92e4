"""The JSON Schema of the project files, for editors and other programs."""

from __future__ import annotations

from typing import Any

from pydantic import Field, create_model

from mayfly.config.fields import Name
from mayfly.config.files import MAIN_ONLY
from mayfly.config.models import ProjectFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def project_schema(sources: Any = None) -> dict[str, Any]:
    """The JSON Schema (2020-12) of `mayfly.yml` and of every file that is merged into it.

    It says what one file may hold. What several files say together (names that must exist, one
    definition of each) is the loader's to check.

    Args:
        sources: what may stand under `sources`, where plug-ins add to it.
    """
    model: type[ProjectFile] = ProjectFile
    if sources is not None:
        names = ProjectFile.model_fields["sources"]
        field: Any = Field(default={}, description=names.description)
        model = create_model(
            "ProjectFile", __base__=ProjectFile, sources=(dict[Name, sources], field)
        )
    schema = model.model_json_schema(by_alias=True)
    _tidy(schema, is_properties=False)
    definitions = schema["$defs"]
    definitions["ModelFile"]["oneOf"] = [_has(key) for key in ("table", "sql", "file", "ref")]
    by_column = {**_has("column"), "oneOf": [_has(key) for key in ("equals", "in")]}
    definitions["ConsentFile"]["anyOf"] = [by_column, _has("table")]
    for name, definition in definitions.items():
        if name.endswith("Destination") and "owner" in definition["properties"]:
            definition["if"] = {
                "properties": {"kind": {"const": "internal"}},
                "required": ["kind"],
            }
            definition["then"] = {"required": ["owner", "reason"]}
    del schema["required"]
    schema["anyOf"] = [
        {"title": "mayfly.yml", "required": ["version", "workspace"]},
        {
            "title": "a file under sources/, models/, destinations/, syncs/ or processors/",
            "properties": dict.fromkeys(MAIN_ONLY, False),
        },
    ]
    return {"$schema": DIALECT, "title": "Mayfly project", **schema}


def _has(key: str) -> dict[str, Any]:
    return {"properties": {key: {"not": {"type": "null"}}}, "required": [key]}


def _tidy(node: object, *, is_properties: bool) -> None:
    """Close mappings by name, and drop what says nothing: made-up titles, defaults of null."""
    if isinstance(node, list):
        for member in node:
            _tidy(member, is_properties=False)
        return
    if not isinstance(node, dict):
        return
    if not is_properties:
        node.pop("title", None)
        node.pop("discriminator", None)
        if node.get("default", 0) is None:
            del node["default"]
        if "patternProperties" in node:
            node.setdefault("additionalProperties", False)
    named = ("properties", "patternProperties", "$defs")
    for key, member in node.items():
        _tidy(member, is_properties=not is_properties and key in named)
