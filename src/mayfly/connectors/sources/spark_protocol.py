"""The messages of Spark Connect that a reader needs, by their numbers on the wire.

Spark's own client brings a JVM's worth of files, pandas, and settings of the whole process; the
protocol is meant for thin ones. Fields that are not here are skipped, so a newer server is read,
too. Numbers and names are those of `spark/connect/*.proto` of Spark 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mayfly.connectors.drivers import optional_driver

SERVICE = "spark.connect.SparkConnectService"
INTERRUPT_OPERATION = 3
_UNION = 2
_PLAIN_TYPES = {
    "null": 1, "binary": 2, "boolean": 3, "byte": 4, "short": 5, "integer": 6, "long": 7,
    "float": 8, "double": 9, "char": 12, "var_char": 13, "date": 14, "timestamp": 15,
    "timestamp_ntz": 16, "calendar_interval": 17, "year_month_interval": 18,
    "day_time_interval": 19, "udt": 23, "unparsed": 24, "variant": 25, "geometry": 26,
    "geography": 27, "timestamp_ntz_nanos": 29, "timestamp_ltz_nanos": 30,
}  # fmt: skip
_WHO = {
    "session_id": (1, "string"),
    "user_context": (2, "UserContext"),
    "client_type": (4, "string"),
}
_FIELDS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "Nothing": {},
    "UserContext": {"user_id": (1, "string"), "user_name": (2, "string")},
    # What is asked.
    "Plan": {"root": (1, "Relation"), "command": (2, "Command")},
    "Relation": {
        "set_op": (6, "SetOperation"),
        "sql": (10, "Sql"),
        "local_relation": (11, "LocalRelation"),
        "cached_remote_relation": (37, "CachedRemoteRelation"),
    },
    "SetOperation": {
        "left_input": (1, "Relation"),
        "right_input": (2, "Relation"),
        "set_op_type": (3, "int32"),
        "is_all": (4, "bool"),
    },
    "Sql": {"query": (1, "string")},
    "LocalRelation": {"data": (1, "bytes"), "schema": (2, "string")},
    "CachedRemoteRelation": {"relation_id": (1, "string")},
    "Command": {
        "create_dataframe_view": (3, "CreateView"),
        "sql_command": (5, "SqlCommand"),
        "checkpoint_command": (14, "Checkpoint"),
        "remove_cached_remote_relation_command": (15, "RemoveCached"),
    },
    "CreateView": {
        "input": (1, "Relation"),
        "name": (2, "string"),
        "is_global": (3, "bool"),
        "replace": (4, "bool"),
    },
    "SqlCommand": {"sql": (1, "string")},
    "Checkpoint": {"relation": (1, "Relation"), "local": (2, "bool"), "eager": (3, "bool")},
    "RemoveCached": {"relation": (1, "CachedRemoteRelation")},
    # Requests and their answers.
    "ExecutePlanRequest": {
        **_WHO,
        "plan": (3, "Plan"),
        "request_options": (5, "RequestOption*"),
        "operation_id": (6, "string"),
        "tags": (7, "string*"),
    },
    "RequestOption": {"reattach_options": (1, "ReattachOptions")},
    "ReattachOptions": {"reattachable": (1, "bool")},
    "ReattachExecuteRequest": {
        **_WHO,
        "operation_id": (3, "string"),
        "last_response_id": (5, "string"),
    },
    "ReleaseExecuteRequest": {
        **_WHO,
        "operation_id": (3, "string"),
        "release_all": (5, "Nothing"),
    },
    "ReleaseExecuteResponse": {},
    "ExecutePlanResponse": {
        "arrow_batch": (2, "ArrowBatch"),
        "checkpoint_command_result": (19, "CheckpointResult"),
        "result_complete": (14, "Nothing"),
        "response_id": (13, "string"),
    },
    "ArrowBatch": {
        "row_count": (1, "int64"),
        "data": (2, "bytes"),
        "start_offset": (3, "int64"),
    },
    "CheckpointResult": {"relation": (1, "CachedRemoteRelation")},
    "AnalyzePlanRequest": {
        "session_id": (1, "string"),
        "user_context": (2, "UserContext"),
        "client_type": (3, "string"),
        "schema": (4, "AnalyzeSchema"),
        "spark_version": (10, "Nothing"),
    },
    "AnalyzeSchema": {"plan": (1, "Plan")},
    "AnalyzePlanResponse": {"schema": (2, "SchemaResult"), "spark_version": (8, "Version")},
    "SchemaResult": {"schema": (1, "DataType")},
    "Version": {"version": (1, "string")},
    "ConfigRequest": {**_WHO, "operation": (3, "ConfigOperation")},
    "ConfigOperation": {
        "set": (1, "ConfigSet"),
        "get_all": (5, "ConfigAll"),
        "unset": (6, "ConfigKeys"),
    },
    "ConfigAll": {"prefix": (1, "string")},
    "ConfigKeys": {"keys": (1, "string*")},
    "ConfigSet": {"pairs": (1, "KeyValue*"), "silent": (2, "bool")},
    "KeyValue": {"key": (1, "string"), "value": (2, "string")},
    "ConfigResponse": {"pairs": (2, "KeyValue*")},
    "InterruptRequest": {
        "session_id": (1, "string"),
        "user_context": (2, "UserContext"),
        "client_type": (3, "string"),
        "interrupt_type": (4, "int32"),
        "operation_id": (6, "string"),
    },
    "InterruptResponse": {},
    "ReleaseSessionRequest": {
        "session_id": (1, "string"),
        "user_context": (2, "UserContext"),
        "client_type": (3, "string"),
    },
    "ReleaseSessionResponse": {},
    "FetchErrorDetailsRequest": {**_WHO, "error_id": (3, "string")},
    "FetchErrorDetailsResponse": {"errors": (2, "ErrorDetails*")},
    "ErrorDetails": {
        "error_type_hierarchy": (1, "string*"),
        "spark_throwable": (5, "SparkThrowable"),
    },
    "SparkThrowable": {"error_class": (1, "string"), "sql_state": (4, "string")},
    # Types of columns.
    "DataType": {
        **{name: (number, "Nothing") for name, number in _PLAIN_TYPES.items()},
        "decimal": (10, "Decimal"),
        "string": (11, "String"),
        "array": (20, "Array"),
        "struct": (21, "Struct"),
        "map": (22, "Map"),
        "time": (28, "Time"),
    },
    "Decimal": {"scale": (1, "int32"), "precision": (2, "int32")},
    "String": {"collation": (2, "string")},
    "Time": {"precision": (1, "int32")},
    "Array": {"element_type": (1, "DataType")},
    "Struct": {"fields": (1, "StructField*")},
    "StructField": {"name": (1, "string"), "data_type": (2, "DataType")},
    "Map": {"key_type": (1, "DataType"), "value_type": (2, "DataType")},
    # What an error carries beside its text: google.rpc.Status, whose details are of any kind.
    "Status": {"code": (1, "int32"), "details": (3, "Detail*")},
    "Detail": {"type_url": (1, "string"), "value": (2, "bytes")},
    "ErrorInfo": {"reason": (1, "string"), "metadata": (3, "Entry*")},
    "Entry": {"key": (1, "string"), "value": (2, "string")},
}
"""By message: number and kind of each field; `*` for a field that repeats."""
_ONE_OF = ("DataType", "ExecutePlanResponse")
"""Messages of whose fields that are messages one is there; `kind` tells which."""
_SCALARS = {"string": 9, "bytes": 12, "bool": 8, "int64": 3, "int32": 5}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_PACKAGE = "mayfly.spark"


@lru_cache(maxsize=1)
def messages() -> Mapping[str, Any]:
    """The class of each message, in a pool of our own: another library may know the same ones.

    Raises:
        ConfigError: `driver_missing`.
    """

    def part(name: str) -> Any:
        return optional_driver(f"google.protobuf.{name}", kind="spark", logs=["google"])

    file = part("descriptor_pb2").FileDescriptorProto(
        name="mayfly/spark.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        if name in _ONE_OF:
            message.oneof_decl.add(name="kind")
        for field, (number, kind) in fields.items():
            bare = kind.removesuffix("*")
            made = message.field.add(
                name=field,
                number=number,
                label=_OPTIONAL if bare == kind else _REPEATED,
                type=_SCALARS.get(bare, _MESSAGE),
            )
            if bare not in _SCALARS:
                made.type_name = f".{_PACKAGE}.{bare}"
                if name in _ONE_OF:
                    made.oneof_index = 0
    pool = part("descriptor_pool").DescriptorPool()
    pool.Add(file)
    message_class = part("message_factory").GetMessageClass
    return {
        name: message_class(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS
    }


def message(kind: str, /, **fields: Any) -> Any:
    """One message."""
    return messages()[kind](**fields)


def sql_relation(query: str) -> Any:
    """What a query gives."""
    return message("Relation", sql=message("Sql", query=query))


def all_of(relations: Sequence[Any]) -> Any:
    """The rows of several relations, in halves: a message is no more than 100 deep."""
    if len(relations) == 1:
        return relations[0]
    half = len(relations) // 2
    both = message(
        "SetOperation",
        left_input=all_of(relations[:half]),
        right_input=all_of(relations[half:]),
        set_op_type=_UNION,
        is_all=True,
    )
    return message("Relation", set_op=both)
