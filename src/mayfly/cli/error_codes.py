"""Every code of an error, a refusal and a finding, read from where Mayfly makes them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mayfly.domain import errors

PACKAGE = Path(errors.__file__).parents[1]
_LEFT_OUT = ("testing", "sandbox", "bench")
_KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.EngineError)
}
_MADE = {"finding": "finding", "Refusal": "refusal"}
_WITHOUT_HINT = {
    "ConfigError": "Change the setting that the message names.",
    "UsageError": "See `mayfly --help` for what the command takes.",
    "PolicyError": "Change what the rule forbids; to run again cannot help.",
    "TransientError": "Run again, or wait with `mayfly run --wait`.",
    "ContractError": "The other side broke its own contract: report it.",
    "RequestRefusedError": "`mayfly rejected` counts the rows; correct them or the mapping.",
    "IntegrityError": "Stop, and restore what does not verify from a backup; report it.",
    "finding": "The message says what to change.",
    "refusal": "Change what the message names, then plan again.",
}
_PAGE = """# Troubleshooting, by code

Every failure has a code, in brackets after its message and as `error.code` of JSON outputs. What
stands here is read from the program; `…` is what the message says there. Codes of problems in
project files stand with [the project files](project.md#codes-of-problems); of rows that were
rejected, with their [destination](destinations.md). The kind says what can be done:

| Kind | What it says | Exit |
|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Site:
    """One place that makes a code."""

    code: str
    kind: str
    message: str
    hint: str


@cache
def sites() -> tuple[frozenset[Site], frozenset[str]]:
    """All places whose code is known, and the expressions of the others, which pass one on."""
    found: set[Site] = set()
    passed: set[str] = set()
    trees = list(_trees())
    shared = {n: text for tree in trees for n, text in _constants(tree).items() if n.isupper()}
    for tree in trees:
        names = shared | _constants(tree)
        for call in ast.walk(tree):
            kind = _kind(call)
            if isinstance(call, ast.Call) and kind is not None:
                _note(call, kind, names, found, passed)
    return frozenset(found), frozenset(passed)


def _trees() -> Iterator[ast.Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in _LEFT_OUT:
            yield ast.parse(path.read_text(encoding="utf-8"))


def _note(
    call: ast.Call, kind: str, names: dict[str, str], found: set[Site], passed: set[str]
) -> None:
    given = {k.arg: k.value for k in call.keywords}
    at = (*call.args, None, None, None)
    code = given.get("code", at[0])
    if code is None:
        return
    texts = list(_texts(code, names))
    if not texts:
        passed.add(ast.unparse(code))
    message = _text(given.get("message", at[1]), names)
    hint = _text(given.get("hint", at[2]), names)
    found.update(Site(text, kind, message, hint) for text in texts)


def _kind(call: ast.AST) -> str | None:
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    name = call.func.id
    return name if name in _KINDS else _MADE.get(name)


def _constants(tree: ast.Module) -> dict[str, str]:
    """Names of a module that stand for a text, of pairs of names too."""
    found: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        name, value = node.targets[0], node.value
        pairs = [(name, value)]
        if isinstance(name, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(name.elts, value.elts, strict=True))
        for one, text in pairs:
            if isinstance(one, ast.Name) and isinstance(text, ast.Constant):
                found |= {one.id: text.value} if isinstance(text.value, str) else {}
    return found


def _texts(node: ast.expr, names: dict[str, str]) -> Iterator[str]:
    """What an expression may be, with `…` for what is only known later; nothing where that is all
    of it.
    """
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name) if name in names:
            yield names[name]
        case ast.IfExp(body=body, orelse=other):
            yield from _texts(body, names)
            yield from _texts(other, names)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _texts(value, names)
        case ast.JoinedStr(values=values):
            parts = [v.value if isinstance(v, ast.Constant) else "…" for v in values]
            yield "".join(map(str, parts))


def _text(node: ast.expr | None, names: dict[str, str]) -> str:
    return " / ".join(t for t in _texts(node, names) if t) if node is not None else ""


def troubleshooting_page() -> str:
    """The page as Markdown."""
    lines = [_PAGE + "\n".join(_kind_rows()), "", "| Code | Kind | What was found | What to do |"]
    lines.append("|---|---|---|---|")
    by_code: dict[str, list[Site]] = {}
    for site in sorted(sites()[0]):
        by_code.setdefault(site.code, []).append(site)
    lines += [_row(code, of_code) for code, of_code in by_code.items()]
    return "\n".join(lines) + "\n"


def _kind_rows() -> Iterator[str]:
    for name, kind in _KINDS.items():
        if name != "EngineError":
            said = (kind.__doc__ or "").strip().splitlines()[0]
            yield f"| `{name}` | {said} | {kind.exit_code} |"
    yield "| refusal | A plan shows it, and a run is refused by it. | 3 |"
    yield "| finding | `mayfly doctor` says it. | 1, or 0 where no run would fail by it |"


def _row(code: str, found: list[Site]) -> str:
    kinds = sorted({s.kind for s in found})
    messages = _joined(s.message for s in found)
    hints = _joined(s.hint for s in found) or _WITHOUT_HINT[kinds[0]]
    named = ", ".join(f"`{k}`" if k in _KINDS else k for k in kinds)
    return f"| `{code}` | {named} | {messages or 'see the message'} | {hints} |"


def _joined(texts: Iterator[str]) -> str:
    """The first three that differ."""
    kept = list(dict.fromkeys(_cell(text) for text in texts if text))
    return "<br>".join(kept[:3])


def _cell(text: str) -> str:
    plain = " ".join(text.split())
    return plain.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
