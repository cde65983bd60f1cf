"""Requests that name a row of a project in their query or body: somebody else's must be answered like none at all.

`$judge` and its like are filled from the ids of a project (`test_access_walk.Ids`); `%judge` is always one's own.
"""

from __future__ import annotations

from typing import Any

SPEC = {"name": "Named", "metric": "errors"}
RULES = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20}]}
MODEL = {"model": "m", "temperature": 0}
SOON = "2999-01-01T00:00:00Z"

NAMED: tuple[tuple[str, str, Any], ...] = (
    ("GET", "accounting?key=$key", None),
    ("GET", "backfills?judge=$judge", None),
    ("POST", "backfills", {"judge": "$judge", "query": "t=7d"}),
    ("POST", "backfills/estimate", {"judge": "$judge", "query": "t=7d"}),
    ("GET", "budgets/check?user=$trace", None),
    ("GET", "calibrations?judge=$judge", None),
    ("GET", "calibrations/compare?judge=$judge&version=1&against=2", None),
    ("GET", "calibrations/gate?judge=$judge", None),
    ("PUT", "calibrations/gate?judge=$judge", {"at_least": 0.8}),
    ("GET", "calibrations/pairs?judge=$judge", None),
    ("POST", "calibrations", {"judge": "$judge"}),
    ("POST", "calibrations/tasks", {"judge": "$judge", "size": 50}),
    ("POST", "datasets/%dataset/add", {"trace_ids": ["$trace"]}),
    ("POST", "datasets/%dataset/add", {"queue": "$queue"}),
    ("POST", "datasets/%dataset/items", {"items": [{"key": "k9", "input": "x", "trace_id": "$trace"}]}),
    ("GET", "datasets/%dataset/diff?from=$dataset", None),
    ("GET", "deliveries?channel=$channel", None),
    ("GET", "deliveries?incident=$number", None),
    ("POST", "documents/scores", {"items": [{"trace_id": "$trace", "document_id": "d", "name": "r", "value": 1}]}),
    ("PATCH", "drift/settings", {"connection": "$connection", "model": "m"}),
    ("GET", "estimates?judge=$judge", None),
    ("GET", "evaluation/spend?judge=$judge", None),
    ("GET", "experiments?dataset=$dataset", None),
    ("POST", "experiments", {"dataset": "$dataset"}),
    ("POST", "experiments", {"dataset": "%dataset", "judges": [{"judge": "$judge"}]}),
    ("POST", "experiments", {"dataset": "%dataset", "connection": "$connection", "config": MODEL}),
    ("GET", "experiments/%experiment/comparison?against=$experiment", None),
    ("POST", "experiments/%experiment/judge", {"judges": [{"judge": "$judge"}]}),
    ("POST", "experiments/%experiment/results", {"results": [{"item_key": "k1", "trace_id": "$trace", "output": "y"}]}),
    ("POST", "inbox", {"act": "claim", "keys": ["incident:$number"]}),
    ("POST", "inbox", {"act": "review", "keys": ["incident:%number"], "queue": "$queue"}),
    ("POST", "incidents", {"title": "Odd", "members": [{"kind": "alarm", "id": "$alarm"}]}),
    ("POST", "incidents/%number/members", {"members": [{"kind": "alarm", "id": "$alarm"}]}),
    ("POST", "incidents/%number/split", {"members": [{"kind": "alarm", "id": "$alarm"}]}),
    ("POST", "incidents/%number/assign", {"user_id": "$user"}),
    ("POST", "incidents/%number/cases", {"dataset": "$dataset"}),
    ("PUT", "incidents/%number/experiment", {"experiment": "$experiment"}),
    ("PUT", "incidents/%number/isolate", {"change": "$change"}),
    ("GET", "judgements?judge=$judge", None),
    ("GET", "judgements?trace_id=$trace", None),
    ("POST", "judges", {"name": "Named", "kind": "rule", "rubric": "$rubric", "config": RULES}),
    ("POST", "judges", {"name": "N", "kind": "model", "rubric": "%rubric", "connection_id": "$connection"}),
    ("POST", "judges/try", {"kind": "rule", "rubric": "$rubric", "config": RULES}),
    ("POST", "judges/try", {"kind": "rule", "rubric": "%rubric", "config": RULES, "trace_ids": ["$trace"]}),
    ("PATCH", "judges/%judge", {"rubric": "$rubric"}),
    ("GET", "labels/export?queue=$queue", None),
    ("GET", "labels/export?judge=$judge", None),
    ("POST", "labels/import", {"rubric": "$rubric", "items": [{"trace_id": "%trace", "verdict": "good"}]}),
    ("POST", "models/promotions", {"kind": "model", "version": "m2", "experiment": "$experiment"}),
    ("POST", "monitors", {**SPEC, "scope": {"view": "$view"}}),
    ("POST", "monitors", {**SPEC, "metric": "composite", "composite": {"members": [{"monitor": "$monitor"}]}}),
    ("PATCH", "monitors/%monitor", {"scope": {"view": "$view"}}),
    ("GET", "probes/alarms?suite=$suite", None),
    ("GET", "probes/series?suite=$suite", None),
    ("POST", "questions", {"text": "Well?", "pillar": "quality", "monitors": ["$monitor"]}),
    ("PATCH", "questions/%question", {"monitors": ["$monitor"]}),
    ("POST", "review/items/%review_item/verdict", {"verdict": "good", "reviewer": "otto", "dataset": "$dataset"}),
    ("POST", "review/queues", {"name": "N", "rubric": "$rubric"}),
    ("POST", "review/queues", {"name": "N", "rubric": "%rubric", "judge": "$judge"}),
    ("POST", "review/queues/%queue/claim", {"item_id": "$review_item", "reviewer": "otto"}),
    ("POST", "review/queues/%queue/items", {"trace_id": "$trace"}),
    ("GET", "reviews?queue=$queue", None),
    ("GET", "reviews?trace_id=$trace", None),
    ("POST", "routes", {"channel": "$channel"}),
    ("GET", "routines?judge=$judge", None),
    ("POST", "routines", {"judge": "$judge", "kind": "quarterly"}),
    ("GET", "scores?trace_id=$trace", None),
    ("GET", "scores?session_id=$trace", None),
    ("GET", "scores?judge=$judge", None),
    ("POST", "scores", {"name": "tone", "value": 1, "trace_id": "$trace"}),
    ("GET", "sessions?user=$trace", None),
    ("GET", "signals?trace_id=$trace", None),
    ("GET", "signals?user_id=$trace", None),
    ("POST", "signals", {"name": "thumbs_down", "trace_id": "$trace"}),
    ("POST", "silences", {"end_at": SOON, "reason": "Deploy", "monitors": ["$monitor"]}),
    ("PATCH", "survivorship/settings", {"judge": "$judge"}),
    ("GET", "traces?session=$trace", None),
    ("GET", "traces/facets?user=$trace", None),
)  # fmt: skip


def filled(told: Any, named: Any, own: Any) -> Any:
    """`told` with `$name` from the ids `named` and `%name` from `own`; a value that is nothing else keeps its type."""
    if isinstance(told, dict):
        return {name: filled(value, named, own) for name, value in told.items()}
    if isinstance(told, list):
        return [filled(value, named, own) for value in told]
    if not isinstance(told, str):
        return told
    if told[:1] in "$%" and told[1:].isidentifier():
        return getattr(named if told[0] == "$" else own, told[1:])
    for mark, ids in (("$", named), ("%", own)):
        for name in sorted(vars(ids), key=len, reverse=True):
            told = told.replace(f"{mark}{name}", str(getattr(ids, name)))
    return told
