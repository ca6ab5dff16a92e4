"""Our messages of Spark Connect, held to those that Spark's own distribution brings."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from mayfly.connectors.sources.spark_protocol import (
    INTERRUPT_OPERATION,
    SERVICE,
    all_of,
    message,
    messages,
    sql_relation,
)

ROOTS = (
    *("ExecutePlanRequest", "ExecutePlanResponse", "ReattachExecuteRequest"),
    *("ReleaseExecuteRequest", "ReleaseExecuteResponse", "AnalyzePlanRequest"),
    *("AnalyzePlanResponse", "ConfigRequest", "ConfigResponse", "InterruptRequest"),
    *("InterruptResponse", "ReleaseSessionRequest", "ReleaseSessionResponse"),
    *("FetchErrorDetailsRequest", "FetchErrorDetailsResponse"),
)
OF_GOOGLE = {"Status", "Detail", "ErrorInfo", "Entry"}
_ENUM = 14


def _serialised(path: Path) -> Iterator[bytes]:
    """What a generated module says of its messages: importing it would bring all of Spark along."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "AddSerializedFile":
            yield ast.literal_eval(node.args[0])


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A pool of the messages of the Spark that is installed."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        pytest.skip("needs Spark (make engines)")
    files = {}
    for path in (Path(spec.origin).parent / "sql/connect/proto").glob("*_pb2.py"):
        for data in _serialised(path):
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            files[file.name] = file
    pool = descriptor_pool.DescriptorPool()

    def add(name: str) -> None:
        if name.startswith("google/") and name not in files:
            module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
            files[name] = descriptor_pb2.FileDescriptorProto.FromString(
                module.DESCRIPTOR.serialized_pb
            )
        file = files.pop(name, None)
        if file is not None:
            for needed in file.dependency:
                add(needed)
            pool.Add(file)

    add("spark/connect/base.proto")
    return pool


def _differences(ours: Any, theirs: Any, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Fields that theirs does not have, or otherwise."""
    if (ours.full_name, theirs.full_name) in seen:
        return
    seen.add((ours.full_name, theirs.full_name))
    for field in ours.fields:
        where = f"{theirs.full_name}.{field.name}"
        there = theirs.fields_by_name.get(field.name)
        if there is None:
            yield f"{where} is not there"
            continue
        kind = there.type if there.type != _ENUM else field.type
        if (field.number, field.type, field.is_repeated) != (there.number, kind, there.is_repeated):
            yield f"{where} is another"
        if field.message_type is not None and there.message_type is not None:
            yield from _differences(field.message_type, there.message_type, seen)


def test_every_field_is_where_spark_has_it(theirs: Any) -> None:
    """Of each message that is sent or read: number, kind, and whether it repeats."""
    seen: set[tuple[str, str]] = set()
    found = [
        difference
        for root in ROOTS
        for difference in _differences(
            messages()[root].DESCRIPTOR,
            theirs.FindMessageTypeByName(f"spark.connect.{root}"),
            seen,
        )
    ]
    assert found == []
    met = {ours.rpartition(".")[2] for ours, _ in seen}
    assert met | OF_GOOGLE == set(messages())


def test_every_kind_of_type_is_known(theirs: Any) -> None:
    """A new one would be refused with its columns; here it is noticed."""
    there = theirs.FindMessageTypeByName("spark.connect.DataType")
    assert set(messages()["DataType"].DESCRIPTOR.fields_by_name) == set(there.fields_by_name)


def test_calls_and_constants_are_sparks(theirs: Any) -> None:
    """The service with its methods, a union, and how one statement is ended."""
    methods = {m.name: m.server_streaming for m in theirs.FindServiceByName(SERVICE).methods}
    streaming = {name for name, streams in methods.items() if streams}
    assert streaming == {"ExecutePlan", "ReattachExecute"}
    assert methods.keys() >= {root.removesuffix("Request") for root in ROOTS if "Request" in root}
    operation = theirs.FindMessageTypeByName("spark.connect.SetOperation")
    [union] = [v for v in operation.enum_types[0].values if v.name.endswith("_UNION")]
    both = all_of([sql_relation("SELECT 1"), sql_relation("SELECT 2")])
    assert both.set_op.set_op_type == union.number
    interrupt = theirs.FindMessageTypeByName("spark.connect.InterruptRequest").enum_types[0]
    [one] = [v for v in interrupt.values if v.name.endswith("_OPERATION_ID")]
    assert one.number == INTERRUPT_OPERATION


def test_many_relations_are_no_deep_message() -> None:
    """A server reads messages that are 100 deep."""

    def depth(relation: Any) -> int:
        if not relation.HasField("set_op"):
            return 1
        return 1 + max(depth(relation.set_op.left_input), depth(relation.set_op.right_input))

    many = all_of([sql_relation(f"SELECT {n}") for n in range(1000)])
    assert depth(many) == 11
    assert message("Plan", root=many).ByteSize() > 10_000
