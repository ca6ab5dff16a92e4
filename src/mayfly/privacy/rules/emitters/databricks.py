"""Databricks. Compiled, not run: nothing here was ever asked of a Databricks."""

from __future__ import annotations

from mayfly.privacy.rules.emitters.spark import SparkEmitter


class DatabricksEmitter(SparkEmitter):
    """Spark's SQL, which a real Spark was held to. Another engine may work it out there (Photon):
    what that gives is compared on connecting.
    """
