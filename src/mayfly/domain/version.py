"""The version of this program; the distribution's metadata says the same."""

VERSION = "0.1.0"
