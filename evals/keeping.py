"""Datasets: items in, versions out."""

from __future__ import annotations
