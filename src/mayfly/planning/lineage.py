"""Which columns of which tables each column of a query is made of. Pure.

Rather too many than too few: what cannot be followed counts with everything it could be made of.
Values alone count, not which rows were chosen by a condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sqlglot import exp

ROW = "*"
"""In place of a column: a whole row went into the value."""
UNALIGNED = "?"
"""In place of a column: some column, and which one depends on the order of the table's."""
_ROUNDS = 8
_ODD = (RecursionError, AttributeError, LookupError, TypeError)


class Origin(NamedTuple):
    """One column of one table; `column` may be `ROW` or `UNALIGNED`."""

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


Origins = frozenset[Origin]
TableName = tuple[str | None, str]
NOTHING: Origins = frozenset()


@dataclass(frozen=True, kw_only=True)
class ViewQuery:
    """What a view is made of.

    Args:
        query: its parsed query; None where nobody could read it.
        columns: its own names of the columns, where it has them.
        schema: that it stands in.
    """

    query: exp.Expr | None = None
    columns: tuple[str, ...] = ()
    schema: str | None = None


_READS = (exp.Column, exp.Query, exp.Exists, exp.AggFunc, exp.Window, exp.Star)


def is_constant(query: exp.Expr, name: str) -> bool:
    """Whether a query says of a column of its own that it is the same in every row; what it takes
    from elsewhere is not followed.
    """
    if not isinstance(query, exp.Select):
        return False
    made = [e for e in query.expressions if e.alias_or_name.casefold() == name.casefold()]
    return bool(made) and not any(e.find(*_READS) for e in made)


class Relation(Protocol):
    """Something with columns."""

    def column(self, name: str) -> Origins:
        """Of the column of that name, in whatever case."""

    def everything(self) -> Origins:
        """Of any column."""

    def has(self, name: str) -> bool | None:
        """Whether there is such a column; None where that is not known."""


@dataclass(frozen=True)
class _Base:
    """A table, or a view that could not be read."""

    name: str

    def column(self, name: str) -> Origins:
        return frozenset({Origin(self.name, name)})

    def everything(self) -> Origins:
        return frozenset({Origin(self.name, ROW)})

    def has(self, name: str) -> bool | None:
        del name
        return None


@dataclass(frozen=True)
class _Opaque:
    """What has columns of unknown names, all of the same origins: a function, a pivot."""

    origins: Origins
    beside: Relation | None = None

    def column(self, name: str) -> Origins:
        return self.origins | (self.beside.column(name) if self.beside else NOTHING)

    def everything(self) -> Origins:
        return self.origins

    def has(self, name: str) -> bool | None:
        del name
        return None


@dataclass(frozen=True)
class _Made:
    """What a SELECT gives: columns by name (empty where the engine names them), and stars."""

    named: tuple[tuple[str, Origins], ...]
    stars: tuple[Relation, ...] = ()

    def column(self, name: str) -> Origins:
        found = [o for n, o in self.named if n == name.casefold()]
        if found:
            return NOTHING.union(*found)
        open_ = [s.column(name) for s in self.stars] + [o for n, o in self.named if not n]
        return NOTHING.union(*open_) if open_ else self.everything()

    def everything(self) -> Origins:
        of_stars = [s.everything() for s in self.stars]
        return NOTHING.union(*(o for _, o in self.named), *of_stars)

    def has(self, name: str) -> bool | None:
        names = {n for n, _ in self.named}
        if name.casefold() in names:
            return True
        return None if self.stars or "" in names else False


@dataclass(frozen=True)
class _Renamed:
    """With other names for the first columns."""

    inner: Relation
    names: tuple[str, ...]

    def column(self, name: str) -> Origins:
        if name.casefold() not in self.names:
            return self.inner.column(name)
        place = self.names.index(name.casefold())
        inner = self.inner
        if isinstance(inner, _Made) and not inner.stars and place < len(inner.named):
            return inner.named[place][1]
        return _unaligned(inner.everything())

    def everything(self) -> Origins:
        return self.inner.everything()

    def has(self, name: str) -> bool | None:
        return True if name.casefold() in self.names else self.inner.has(name)


@dataclass(frozen=True)
class _Joined:
    """Two results below each other, whose columns are not known to stand in one order."""

    left: Relation
    right: Relation
    by_name: bool

    def column(self, name: str) -> Origins:
        right = self.right.column(name)
        if not self.by_name:
            right |= _unaligned(self.right.everything())
        return self.left.column(name) | right

    def everything(self) -> Origins:
        return self.left.everything() | self.right.everything()

    def has(self, name: str) -> bool | None:
        return self.left.has(name)


def _unaligned(origins: Origins) -> Origins:
    """A row stands for one of its columns, not for all of them in one value."""
    return frozenset(o._replace(column=UNALIGNED) if o.column == ROW else o for o in origins)


@dataclass(kw_only=True)
class _Scope:
    """What names mean within one SELECT."""

    parent: _Scope | None = None
    relations: dict[str, Relation] = field(default_factory=dict)
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)

    def find(self, alias: str) -> Relation | None:
        found = self.relations.get(alias.casefold())
        return found if found or self.parent is None else self.parent.find(alias)

    def everything(self) -> Origins:
        return NOTHING.union(*(r.everything() for r in self.relations.values()))

    def plain(self, name: str) -> tuple[Origins, bool]:
        """Of a name without a table, and whether it is known to be one of these tables'."""
        sure = [r for r in self.relations.values() if r.has(name)]
        if sure:
            return NOTHING.union(*(r.column(name) for r in sure)), True
        maybe = [r for r in self.relations.values() if r.has(name) is None]
        found = NOTHING.union(*(r.column(name) for r in maybe))
        if self.parent is not None:
            found |= self.parent.plain(name)[0]
        row = self.find(name)
        return found | (row.everything() if row else NOTHING), False


Env = Mapping[str, Relation]


class _Resolver:
    def __init__(self, views: Mapping[TableName, ViewQuery]) -> None:
        self._views = views
        self._known: dict[TableName, Relation] = {}
        self._inside: list[str | None] = [None]

    def query(self, node: exp.Expr, env: Env, parent: _Scope | None) -> Relation:
        env = self._with(node, env, parent)
        if isinstance(node, exp.Subquery):
            return self.query(node.this, env, parent)
        if isinstance(node, exp.SetOperation):
            left = self.query(node.this, env, parent)
            right = self.query(node.expression, env, parent)
            return _below(left, right, by_name=bool(node.args.get("by_name")))
        if isinstance(node, exp.Select):
            return self._select(node, env, parent)
        if isinstance(node, exp.Table):
            scope = _Scope(parent=parent)
            self._add(node, env, scope)
            return _Made((), tuple(scope.relations.values()))
        return _Opaque(self._origins(node, env, parent or _Scope()))

    def _with(self, node: exp.Expr, env: Env, parent: _Scope | None) -> Env:
        known = dict(env)
        with_ = node.args.get("with_")
        if with_ is None:
            return known
        for cte in with_.expressions:
            name = cte.alias.casefold()
            if with_.args.get("recursive"):
                known[name] = self._recursive(cte, known, parent)
            else:
                known[name] = self._cte(cte, known, parent)
        return known

    def _cte(self, cte: exp.Expr, env: Env, parent: _Scope | None) -> Relation:
        columns = tuple(c.casefold() for c in cte.alias_column_names)
        return _renamed(self.query(cte.this, env, parent), columns)

    def _recursive(self, cte: exp.Expr, env: Env, parent: _Scope | None) -> Relation:
        """Which column comes round to which would take more than names: each has all."""
        made: Relation = _Opaque(NOTHING)
        for _ in range(_ROUNDS):
            before = made.everything()
            made = self._cte(cte, {**env, cte.alias.casefold(): made}, parent)
            if made.everything() == before:
                break
        return _Opaque(_unaligned(made.everything()), beside=made)

    def _select(self, node: exp.Select, env: Env, parent: _Scope | None) -> Relation:
        scope = _Scope(parent=parent)
        from_ = node.args.get("from_")
        if from_ is not None:
            self._add(from_.this, env, scope)
        for join in node.args.get("joins") or ():
            self._add(join.this, env, scope)
        for lateral in node.args.get("laterals") or ():
            self._add(lateral, env, scope)
        for made in node.expressions:
            if isinstance(made, exp.Alias):
                scope.aliases[made.alias.casefold()] = made.this
        named: list[tuple[str, Origins]] = []
        stars: list[Relation] = []
        for made in node.expressions:
            self._projection(made, env, scope, named, stars)
        return _Made(tuple(named), tuple(stars))

    def _projection(
        self,
        made: exp.Expr,
        env: Env,
        scope: _Scope,
        named: list[tuple[str, Origins]],
        stars: list[Relation],
    ) -> None:
        star = made.this if isinstance(made, exp.Column) else made
        if isinstance(star, exp.Star):
            inner = self._starred(made, scope)
            stars += inner
            for other in star.args.get("replace") or ():
                named.append((other.alias.casefold(), self._origins(other, env, scope)))
            for other in star.args.get("rename") or ():
                old = other.this.name
                origins = NOTHING.union(*(r.column(old) for r in inner))
                named.append((other.alias.casefold(), origins))
            return
        if made.find(exp.Columns) is not None:
            stars += scope.relations.values()
            named.append(("", scope.everything()))
            return
        origins = self._origins(made, env, scope)
        names = [made.alias_or_name]
        if isinstance(made, exp.Aliases):
            names = [identifier.name for identifier in made.args["expressions"]]
        named += [(name.casefold(), origins) for name in names]

    def _starred(self, made: exp.Expr, scope: _Scope) -> list[Relation]:
        if not isinstance(made, exp.Column) or not made.table:
            return list(scope.relations.values())
        found = scope.find(made.table)
        return [found] if found else [_Opaque(scope.plain(made.table)[0])]

    def _origins(self, node: exp.Expr, env: Env, scope: _Scope) -> Origins:
        found: set[Origin] = set()
        todo = [node]
        while todo:
            part = todo.pop()
            if isinstance(part, exp.Count):
                continue  # how many there are is no value of any of them
            if isinstance(part, exp.Query):
                found |= self.query(part, env, scope).everything()
            elif isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
                found |= self._column(part, env, scope)
            elif isinstance(part, exp.Column):
                found |= NOTHING.union(*(r.everything() for r in self._starred(part, scope)))
            elif isinstance(part, exp.Star):
                found |= scope.everything()
            elif isinstance(part, exp.TableColumn):
                found |= scope.plain(part.name)[0]
            else:
                todo += part.iter_expressions()
        return frozenset(found)

    def _column(self, node: exp.Column, env: Env, scope: _Scope) -> Origins:
        """A name with dots may be a table's column, or a part of a column's value."""
        parts = [part.name for part in node.parts]
        if len(parts) == 1:
            return self._plain(parts[0], env, scope)
        first, last = scope.find(parts[0]), scope.find(parts[-2])
        if first is None and last is None:
            return self._plain(parts[0], env, scope)
        found = first.column(parts[1]) if first else NOTHING
        return found | (last.column(parts[-1]) if last else NOTHING)

    def _plain(self, name: str, env: Env, scope: _Scope) -> Origins:
        found, sure = scope.plain(name)
        alias = name.casefold()
        made = scope.aliases.get(alias)
        if not sure and made is not None and alias not in scope.busy:
            scope.busy.add(alias)
            found |= self._origins(made, env, scope)
            scope.busy.discard(alias)
        return found or scope.everything()

    def _add(self, node: exp.Expr, env: Env, scope: _Scope) -> None:
        """Take a FROM item, and what is joined within it, into the scope."""
        inner = node.this if isinstance(node, exp.Subquery | exp.Paren) else None
        if isinstance(inner, exp.Table) and not node.alias:
            self._add(inner, env, scope)
        else:
            relation = self._relation(node, env, scope)
            pivots = node.args.get("pivots")
            if pivots:
                relation = _Opaque(relation.everything(), beside=relation)
            alias = node.alias_or_name or f"\x00{len(scope.relations)}"
            names = tuple(c.casefold() for c in node.alias_column_names)
            last = pivots[-1].alias if pivots else ""
            scope.relations[(last or alias).casefold()] = _renamed(relation, names)
        for join in node.args.get("joins") or ():
            self._add(join.this, env, scope)
        for lateral in node.args.get("laterals") or ():
            self._add(lateral, env, scope)

    def _relation(self, node: exp.Expr, env: Env, scope: _Scope) -> Relation:
        if isinstance(node, exp.Lateral):
            if isinstance(node.this, exp.Query):
                return self.query(node.this, env, scope)
            return _Opaque(self._origins(node.this, env, scope))
        if isinstance(node, exp.Table):
            if not isinstance(node.this, exp.Identifier):
                inside = list(node.iter_expressions())
                return _Opaque(self._origins_of(inside, env, scope))
            return self._table(node, env)
        if isinstance(node, exp.Values):
            return _Opaque(self._origins_of(node.expressions, env, scope))
        if isinstance(node, exp.Query):
            return self.query(node, env, scope)
        return _Opaque(self._origins_of(list(node.iter_expressions()), env, scope))

    def _origins_of(self, nodes: Sequence[exp.Expr], env: Env, scope: _Scope) -> Origins:
        return NOTHING.union(*(self._origins(node, env, scope) for node in nodes))

    def _table(self, node: exp.Table, env: Env) -> Relation:
        if not node.db and node.name.casefold() in env:
            return env[node.name.casefold()]
        for schema in [node.db] if node.db else [None, self._inside[-1]]:
            found = self.view((schema, node.name))
            if found is not None:
                return found
        return _Base(f"{node.db}.{node.name}" if node.db else node.name)

    def view(self, name: TableName) -> Relation | None:
        """A view by its name; None of a table."""
        key = _key(name)
        if key in self._known:
            return self._known[key]
        found = self._views.get(key)
        if found is None:
            return None
        shown = ".".join(part for part in name if part)
        self._known[key] = _Base(shown)  # a view below itself is none that an engine reads
        if found.query is not None:
            self._inside.append(found.schema)
            made = self.query(found.query, {}, None)
            self._inside.pop()
            columns = tuple(c.casefold() for c in found.columns)
            self._known[key] = _renamed(made, columns)
        return self._known[key]


def _renamed(relation: Relation, names: tuple[str, ...]) -> Relation:
    return _Renamed(relation, names) if names else relation


def _below(left: Relation, right: Relation, *, by_name: bool) -> Relation:
    """UNION and its like: columns stand below each other by their place, or by their name."""
    if by_name or not isinstance(left, _Made) or not isinstance(right, _Made):
        return _Joined(left, right, by_name)
    if left.stars or right.stars or len(left.named) != len(right.named):
        return _Joined(left, right, by_name)
    pairs = zip(left.named, right.named, strict=True)
    return _Made(tuple((name, one | other) for (name, one), (_, other) in pairs))


def _key(name: TableName) -> TableName:
    schema, table = name
    return (schema.casefold() if schema else None, table.casefold())


def tables_in(query: exp.Expr) -> Iterator[TableName]:
    """Every name in a table's place, names of the query's own WITH among them."""
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier):
            yield (table.db or None, table.name)


def lineage_of(
    model: exp.Expr | TableName, names: Sequence[str], views: Mapping[TableName, ViewQuery]
) -> dict[str, Origins]:
    """What some columns of a model are made of.

    Args:
        model: its parsed query, or the name of its table or view.
        names: of the columns.
        views: every view below it, by schema and name in small letters.
    """
    resolver = _Resolver(views)
    try:
        if isinstance(model, exp.Expr):
            relation = resolver.query(model, {}, None)
        else:
            shown = ".".join(part for part in model if part)
            relation = resolver.view(model) or _Base(shown)
        return {name: relation.column(name) for name in names}
    except _ODD:
        # Whatever the parser made of it: everything may be in each of them.
        return {name: frozenset({Origin("", ROW)}) for name in names}
