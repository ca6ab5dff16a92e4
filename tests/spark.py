"""A local Spark, under a JVM of some language."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from engine_process import EngineProcess, engine_process

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


@contextmanager
def spark_process(language: str, values: Sequence[str | None]) -> Iterator[EngineProcess]:
    """One with table `t` of texts and their places; ends with the block."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("needs Spark (make engines) and Java (apt-get install default-jre-headless)")
    with engine_process(_SERVE, language) as made:
        made.tell(list(values))
        yield made
