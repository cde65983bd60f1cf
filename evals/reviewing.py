"""Review queues: filling, handing out, taking verdicts."""

from __future__ import annotations
