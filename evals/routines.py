"""Dated tasks about judges: monthly, quarterly, bias probes."""

from __future__ import annotations
