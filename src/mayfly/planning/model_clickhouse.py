"""What model SQL may not reach in ClickHouse, beside what it may reach nowhere. Pure."""

from __future__ import annotations

from sqlglot import exp

TABLE_FUNCTIONS = frozenset({"numbers", "generateseries", "generate_series", "zeros", "null"})
_NAMES = frozenset(
    # What looks into files, dictionaries, other tables or machines, or counts elsewhere.
    "file hascolumnintable joinget joingetornull generateserialid catboostevaluate modelevaluate "
    "evalmlmethod logtrace structuretocapnprotoschema structuretoprotobufschema showcertificate "
    # What tells of the server, the session or another statement.
    "hostname fullhostname fqdn serveruuid version uptime buildid revision tcpport tid "
    "connectionid connection_id queryid query_id initialqueryid initial_query_id "
    "initialquerystarttime initial_query_start_time shardnum shardcount displayname "
    "servertimezone zookeepersessionuptime blocknumber globalvariable getclienthttpheader "
    "user authuser authenticateduser session_user currentuser current_user currentroles "
    "currentprofiles currentdatabase current_database database schema currentschemas "
    "current_schemas current_version currentqueryid current_query_id currentrequesturl "
    "currenthandler enabledroles enabledprofiles defaultroles defaultprofiles "
    # What waits, or fails at will.
    "sleep sleepeachrow throwif "
    # A name at their right is a table's.
    "in notin globalin globalnotin nullin notnullin globalnullin globalnotnullin "
    "inignoreset notinignoreset globalinignoreset globalnotinignoreset nullinignoreset "
    "notnullinignoreset globalnullinignoreset globalnotnullinignoreset".split()
)
_PREFIXES = (
    *("__", "ai", "dict", "getsetting", "getserver", "getm", "getoskernel", "filesystem"),
    *("addressto", "demangle", "transaction", "mergetree", "pgget", "pgtable"),
    *("regionto", "regionin", "regionhierarchy"),
)
_CATALOGS = frozenset({"_temporary_and_external_tables"})


def forbidden_in_clickhouse(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    Settings, formats, parameters, tables that stand for a list, dictionaries, other machines and
    functions that tell of server or session. A function of one's own that is called by its bare
    name cannot be told from ClickHouse's: the role's rights stand behind it.
    """
    if isinstance(node, exp.Query):
        return _clause(node)
    if isinstance(node, exp.Table):
        return _table(node)
    if isinstance(node, exp.In):
        return _in(node)
    if isinstance(node, exp.Aliases):
        return "a function that it cannot read"
    if isinstance(node, exp.Func):
        name = _name(node)
        return f"the function {name}" if name in _NAMES or name.startswith(_PREFIXES) else None
    return None


def _clause(query: exp.Query) -> str | None:
    for clause in ("settings", "format"):
        if query.args.get(clause):
            return clause.upper()
    return None


def _table(table: exp.Table) -> str | None:
    made = table.this
    if isinstance(made, exp.Func):
        name = _name(made)
        return None if name in TABLE_FUNCTIONS else f"the table function {name}"
    alias = table.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        # As which some functions in a table's place are read.
        return f"the table function {table.name.casefold()}"
    schemas = {part.name.casefold() for part in table.parts[:-1]}
    return "a table of the engine's own catalog" if schemas & _CATALOGS else None


def _in(node: exp.In) -> str | None:
    """`x IN t` and `x IN (t)` read a table of that name."""
    listed = node.args.get("field")
    alone = node.expressions if len(node.expressions) == 1 else []
    named = [listed] if listed is not None else list(alone)
    if any(isinstance(e.unnest(), exp.Column | exp.Dot | exp.Identifier) for e in named):
        return "IN with the name of a table or column: write IN (SELECT …)"
    return None


def _name(node: exp.Func) -> str:
    return str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).casefold()
