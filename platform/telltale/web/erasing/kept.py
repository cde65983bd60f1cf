"""Which tables an erasure does not look through, and why; everything else is."""

from __future__ import annotations

# Nobody can change the audit log; the receipt says how many entries name what was erased.
AUDIT = "audit_auditentry"
# Rows of one trace each, too many to be read word by word: they are removed by the trace's id, never by what they say.
OF_TRACES = frozenset({
    "traces_trace", "traces_span", "traces_payload", "traces_span_log", "traces_ledger", "traces_search_doc",
    "traces_search_block", "traces_search_segment", "traces_metric_point", "traces_metric_rollup", "traces_rollup",
    "evals_decision", "evals_candidate",
})  # fmt: skip
# The erasure's own rows: they go when it is done.
OWN = frozenset({"web_erasure", "web_erasuretrace", "web_erasurename", "traces_erased"})
# What the removal of a project or an organisation leaves: the log, and the receipts.
OF_PROJECTS = frozenset({AUDIT, "web_erasure"})


def is_searched(table: str) -> bool:
    """Whether every row of a table is read for a name."""
    return table not in OF_TRACES and table not in OWN and table != AUDIT
