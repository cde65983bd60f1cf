"""The queue of judgements: claiming, calling, settling."""

from __future__ import annotations
