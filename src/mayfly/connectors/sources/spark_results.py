"""Results of Spark Connect: Arrow batches, one or a few with each answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.refusals import value_conversion
from mayfly.connectors.sources.spark_client import SparkClient
from mayfly.connectors.sources.spark_protocol import message, sql_relation
from mayfly.connectors.sources.spark_types import plain
from mayfly.domain.errors import ContractError


def batches(client: SparkClient, sql: str) -> Iterator[pa.RecordBatch]:
    """The result of a query in order; an empty one has a batch of no rows.

    Raises:
        ContractError: `query_failed`, rows are missing between two answers.
    """
    seen = 0
    for answer in client.run(message("Plan", root=sql_relation(sql))):
        if answer.WhichOneof("kind") != "arrow_batch":
            continue
        for batch in _opened(answer.arrow_batch, seen):
            seen += batch.num_rows
            yield batch


def result(client: SparkClient, sql: str) -> pa.Table:
    """The whole of it."""
    found = list(batches(client, sql))
    if not found:
        raise ContractError("query_failed", "The source gave no result.")
    return pa.Table.from_batches(found).combine_chunks()


def _opened(sent: Any, seen: int) -> Iterator[pa.RecordBatch]:
    """What one answer holds.

    Args:
        sent: ArrowBatch.
        seen: rows before it.
    """
    try:
        with pa.ipc.open_stream(sent.data) as reader:
            found = [plain(batch) for batch in reader]
            found = found or [plain(pa.RecordBatch.from_pylist([], schema=reader.schema))]
    except (pa.ArrowException, KeyError):
        raise value_conversion(
            "A value has no form that can be read: cast such columns to text in the model."
        ) from None
    if sum(batch.num_rows for batch in found) != sent.row_count or sent.start_offset != seen:
        raise ContractError("query_failed", "The source lost a part of a result.")
    yield from found
