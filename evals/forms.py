"""Forms of evals."""

from __future__ import annotations
