"""Experiments: running a dataset against an endpoint, taking posted results, having them judged."""

from __future__ import annotations
