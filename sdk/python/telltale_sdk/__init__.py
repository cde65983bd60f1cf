"""Traces, user signals, scores and changes of an LLM application, sent to Telltale. `import telltale_sdk as telltale`.

    telltale.init(endpoint="http://127.0.0.1:8000", api_key="tt_sk_...", service="shop-api")

    @telltale.observe(kind="generation")
    def answer(question): ...

    with telltale.user("u_58f2"), telltale.session("s_9c41"), telltale.feature("returns"):
        answer("Can I return this?")

Nothing here raises into the application or makes it wait (`budget_check` alone does, for a moment); what goes wrong
is logged once to the logger `telltale_sdk` and counted in `stats()`.
"""

from __future__ import annotations

from telltale_sdk._api import (
    budget_check,
    change,
    current_span,
    current_span_id,
    current_trace_id,
    feature,
    flush,
    init,
    metadata,
    prompt,
    release,
    score,
    session,
    shutdown,
    signal,
    stats,
    tags,
    user,
)
from telltale_sdk._budgets import BudgetCheck
from telltale_sdk._client import Stats
from telltale_sdk._context import Setting, carry
from telltale_sdk._observe import observe, observe_span
from telltale_sdk._span import Span
from telltale_sdk._version import VERSION as __version__

__all__ = [
    "BudgetCheck",
    "Setting",
    "Span",
    "Stats",
    "__version__",
    "budget_check",
    "carry",
    "change",
    "current_span",
    "current_span_id",
    "current_trace_id",
    "feature",
    "flush",
    "init",
    "metadata",
    "observe",
    "observe_span",
    "prompt",
    "release",
    "score",
    "session",
    "shutdown",
    "signal",
    "stats",
    "tags",
    "user",
]
