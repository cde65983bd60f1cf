"""Judges set against people: pairs, figures with intervals, the gate, expiry."""

from __future__ import annotations
