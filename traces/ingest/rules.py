"""What a project adds to its spans on the way in, held for a few seconds a process."""

from __future__ import annotations

import time

from telltale.projects.models import Project
from traces.canonical import apply_feature_rules
from traces.changes import is_watched
from traces.erasure import has_erased
from traces.forwarding import has_targets
from traces.masks import read_masker
from traces.prices import load_book
from traces.write.spans import Rules

HOLD_SECONDS = 5.0
_held: dict[int, tuple[float, Rules]] = {}


def rules_for(project_id: int) -> Rules:
    """The prices and feature rules of the project, and who is told of its spans, at most `HOLD_SECONDS` old."""
    now = time.monotonic()
    held = _held.get(project_id)
    if held and held[0] > now:
        return held[1]
    feature_rules = list(Project.objects.filter(pk=project_id).values_list("feature_rules", flat=True))
    configured = feature_rules[0] if feature_rules else []

    def feature_of(name: str, service: str | None) -> str | None:
        return apply_feature_rules(name, service, configured) if configured else None

    erased, is_erasing = has_erased(project_id)
    rules = Rules(
        load_book(project_id),
        feature_of,
        has_targets(project_id),
        is_watched(project_id),
        is_traffic=True,
        has_erased=erased,
        is_erasing=is_erasing,
        masker=read_masker(project_id),
    )
    if len(_held) > 1000:
        _held.clear()
    _held[project_id] = (now + HOLD_SECONDS, rules)
    return rules


def forget() -> None:
    """Forget what is held (tests)."""
    _held.clear()
