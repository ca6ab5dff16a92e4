"""One YAML file as plain values, with the line and column of every key and value.

Only what a project file needs is read: mappings with text keys, lists, text, numbers, true,
false and null. Anchors, aliases, merge keys, tags, directives, tabs and control characters are
refused: each makes a file mean something else than what a reviewer reads.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import DocumentStartEvent, NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mayfly.config.findings import Findings, Path, Place, Spot, Spots, shown

DEPTH_MAX = 30
_TAG = "tag:yaml.org,2002:"
_TEXTS = {f"{_TAG}str", f"{_TAG}timestamp"}
_INDENTED = "this does not fit the lines above: look at its indentation and their quotes"
_REASONS = (
    ("mapping values are not allowed", "a second ':' stands on the line", "Quote the text."),
    ("could not find expected ':'", "expected a ':' after the key", ""),
    ("cannot start any token", "text cannot start with this character", "Quote the text."),
    ("found unexpected end of stream", "a quote or bracket is not closed", ""),
    ("another document", "expected one document", "Remove what follows the `---`."),
    ("expected ',' or", "a bracket is not closed, or a comma is missing", ""),
    ("expected <block end>", _INDENTED, ""),
    ("block mapping start", _INDENTED, ""),
)


def read_tree(text: str, file: str, findings: Findings) -> tuple[object, Spots]:
    """The file's values and where they stand; what is refused goes to `findings`.

    Args:
        text: of the file.
        file: its name in messages.
        findings: where problems go.

    Returns:
        None and no places where the text is not readable YAML at all.
    """
    spots = Spots()
    text = text.removeprefix("\ufeff")
    try:
        root = _root(text)
    except _RefusedError:
        _refuse(text, file, findings)
        return None, spots
    if root is None:
        return None, spots
    return _Reader(file, findings, spots).read(root, ()), spots


class _RefusedError(Exception):
    """The text holds what no project file may."""


# The parser itself stumbles over some malformed input.
_STUMBLES = (ValueError, TypeError, RecursionError, AttributeError, LookupError, AssertionError)


@lru_cache(maxsize=64)
def _root(text: str) -> Node | None:
    """Of a text. A project is read again and again, for as long as a run looks after its files."""
    try:
        if _is_clean(text, "", Findings()):
            root: Node | None = YAML(typ="safe", pure=True).compose(text)
            return root
    except (YAMLError, *_STUMBLES):
        raise _RefusedError from None
    raise _RefusedError


def _refuse(text: str, file: str, findings: Findings) -> None:
    """Say what is wrong with a text that has no root."""
    try:
        if _is_clean(text, file, findings):
            YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        _explain(error, file, findings)
    except _STUMBLES:
        findings.add(Spot(file=file), "yaml", "this is not readable YAML")


def _is_clean(text: str, file: str, findings: Findings) -> bool:
    return _check_characters(text, file, findings) and _check_events(text, file, findings)


def _check_characters(text: str, file: str, findings: Findings) -> bool:
    clean = True
    for number, line in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(line.removesuffix("\r"), start=1):
            if character == "\t":
                clean = False
                spot = Spot(file=file, line=number, column=column)
                findings.add(spot, "tab", "tabs are refused", "Use spaces.")
                break
            if character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029":
                clean = False
                spot = Spot(file=file, line=number, column=column)
                findings.add(spot, "control_character", "control characters are refused")
                break
    return clean


def _check_events(text: str, file: str, findings: Findings) -> bool:
    """Whether the file holds nothing that reads differently than it looks."""
    depth, clean = 0, True
    for event in YAML(typ="safe", pure=True).parse(text):
        kind = type(event).__name__
        depth += kind.endswith(("MappingStartEvent", "SequenceStartEvent"))
        depth -= kind.endswith(("MappingEndEvent", "SequenceEndEvent"))
        spot = _spot(event.start_mark, file)
        if depth > DEPTH_MAX:
            findings.add(spot, "too_deep", f"expected at most {DEPTH_MAX} levels")
            return False
        if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
            lines = enumerate(text.split("\n"), start=1)
            line = next((n for n, x in lines if x.startswith("%")), spot.line)
            at = Spot(file=file, line=line)
            findings.add(at, "directive", "YAML directives are refused", "Remove the % lines.")
            clean = False
        if isinstance(event, NodeEvent) and event.anchor is not None:
            message = "anchors and aliases are refused"
            findings.add(spot, "anchor", message, "Write the value out where it is used.")
            clean = False
        if getattr(event, "ctag", None) is not None:
            findings.add(spot, "tag", "YAML tags are refused", "Remove the word with the `!`.")
            clean = False
    return clean


def _explain(error: YAMLError, file: str, findings: Findings) -> None:
    problem = str(getattr(error, "problem", "") or "")
    mark = getattr(error, "problem_mark", None)
    spot = _spot(mark, file) if mark is not None else Spot(file=file)
    for part, message, hint in _REASONS:
        if part in problem:
            findings.add(spot, "yaml", message, hint)
            return
    findings.add(spot, "yaml", "this is not readable YAML")


def _spot(mark: object, file: str) -> Spot:
    line, column = getattr(mark, "line", 0), getattr(mark, "column", 0)
    return Spot(file=file, line=line + 1, column=column + 1)


class _Reader:
    def __init__(self, file: str, findings: Findings, spots: Spots) -> None:
        self._file = file
        self._findings = findings
        self._spots = spots

    def read(self, node: Node, path: Path) -> object:
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return self._sequence(node, path)
        return self._scalar(node)

    def _at(self, node: Node) -> Spot:
        return _spot(node.start_mark, self._file)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, key_node, value_node in self._keys(node):
            below = (*path, key)
            if key in found:
                first = self._spots.key(*below)
                message = f"key {shown(key)} stands twice; first in line {first.line}"
                self._findings.add(self._at(key_node), "duplicate_key", message)
                continue
            place = Place(key=self._at(key_node), value=self._at(value_node))
            self._spots.set(below, place)
            found[key] = self.read(value_node, below)
        return found

    def _keys(self, node: MappingNode) -> Iterator[tuple[str, Node, Node]]:
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                message = "merge keys are refused"
                hint = "Write the keys out where they are used."
                self._findings.add(self._at(key_node), "merge_key", message, hint)
            elif not isinstance(key_node, ScalarNode) or key_node.tag not in _TEXTS:
                message = "expected text as a key"
                self._findings.add(self._at(key_node), "bad_key", message, "Quote the key.")
            else:
                yield self._text(key_node), key_node, value_node

    def _sequence(self, node: SequenceNode, path: Path) -> list[object]:
        found: list[object] = []
        for index, member in enumerate(node.value):
            below = (*path, index)
            self._spots.set(below, Place(key=self._at(member), value=self._at(member)))
            found.append(self.read(member, below))
        return found

    def _scalar(self, node: Node) -> object:
        text = str(node.value)
        match str(node.tag).removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" | "float":
                return self._number(node, text)
            case _:
                return self._text(node)

    def _number(self, node: Node, text: str) -> object:
        number = number_of(text)
        if number is None:
            message = "this number is not one that can be read exactly"
            self._findings.add(self._at(node), "number", message, "Quote it where it is text.")
        return number

    def _text(self, node: Node) -> str:
        text = str(node.value)
        for character in text:
            control = unicodedata.category(character) in ("Cc", "Cs")
            if control and character not in "\n\r\t":
                message = "control characters are refused"
                self._findings.add(self._at(node), "control_character", message)
                return "?"
        return text


def number_of(text: str) -> int | float | None:
    """A plain YAML number; None for one that is too long, infinite, or not a number."""
    if len(text) > 30:
        return None
    plain = text.lower().lstrip("+-")
    base = {"0x": 16, "0o": 8, "0b": 2}.get(plain[:2], 10)
    try:
        return int(text, base)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None
