"""Servers on loopback in place of key services, where in doubt stricter than the real ones."""
