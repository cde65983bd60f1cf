"""The version of this package; the one of pyproject.toml, as a test proves."""

VERSION = "0.1.0"
