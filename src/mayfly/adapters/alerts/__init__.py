"""Channels for alerts."""
