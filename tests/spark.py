"""A local Spark in a process of its own, under a JVM of some language."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_SERVE = """
import json, os, sys
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType, StringType, StructField, StructType
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
language = "-Duser.language=" + sys.argv[1]
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.extraJavaOptions", language)
    .config("spark.sql.shuffle.partitions", "1")
    .getOrCreate()
)
kind = StructType([StructField("n", IntegerType()), StructField("v", StringType())])
values = json.loads(sys.stdin.readline())
rows = list(enumerate(values))
spark.createDataFrame(rows, kind).coalesce(1).createOrReplaceTempView("t")
for line in sys.stdin:
    try:
        answer = [row.asDict() for row in spark.sql(json.loads(line)).collect()]
    except Exception as error:
        answer = str(error)[:2000]
    print(json.dumps(answer), file=out, flush=True)
"""


class Spark:
    """Answers queries over table `t` with rows as objects."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(sql) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert isinstance(answer, list), answer
        return answer


@contextmanager
def spark_process(language: str, values: list[str | None]) -> Iterator[Spark]:
    """One with a table of texts and their places; ends with the block."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("needs Spark (make engines) and Java (apt-get install default-jre-headless)")
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, language],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(values) + "\n")
        process.stdin.flush()
        yield Spark(process)
        process.stdin.close()
