"""Mayfly moves customer data from a warehouse to the platforms that act on it, and keeps none of it."""

__version__ = "0.1.0"
