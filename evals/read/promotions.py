"""Which versions of models and prompts were let through the gate, and on what evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evals.models import Promotion


@dataclass(frozen=True, slots=True)
class PromotionRow:
    """One promotion. It stands while `ended_at` is None; `ended_as` is replaced or withdrawn then.

    The ids of its experiments are None where they were removed; `evidence` says what they said.
    """

    id: int
    kind: str
    subject: str
    version: str
    experiment_id: int | None
    against_id: int | None
    evidence: Mapping[str, Any]
    note: str
    author: str
    made_at: datetime
    ended_at: datetime | None
    ended_as: str
    ended_by: str

    @property
    def stands(self) -> bool:
        """Whether it is the one in force for its subject."""
        return self.ended_at is None

    @property
    def words(self) -> str:
        """What was promoted, in a few words."""
        return words(self.kind, self.subject, self.version)

    @property
    def finding(self) -> str:
        """What the gate saw, in a sentence."""
        said = self.evidence
        items = f"{said.get('dataset', '')} version {said.get('dataset_version', '')}"
        if said.get("is_first"):
            return f"{said.get('answered', 0):,} items of {items} answered; the first one, so nothing to compare with."
        lines = said.get("lines", [])
        counts = {word: sum(line.get("verdict") == word for line in lines) for word in ("better", "cannot_tell")}
        noun = "measure" if len(lines) == 1 else "measures"
        return (
            f"No regression proven in {len(lines)} {noun} over {said.get('pairs', 0):,} items of {items} against "
            f"“{said.get('against', '')}”: {counts['better']} proven better, {counts['cannot_tell']} cannot tell."
        )


def words(kind: str, subject: str, version: str) -> str:
    """What a promotion is of, in a few words."""
    if kind == "prompt":
        return f"prompt {subject} {version}"
    return f"model {version} for {subject or 'everything'}"


def list_promotions(
    project_id: int, *, kind: str = "", standing: bool = False, before: int | None = None, limit: int = 50
) -> list[PromotionRow]:
    """Promotions, newest first; `standing`: those in force alone."""
    rows = Promotion.objects.filter(project_id=project_id)
    if kind:
        rows = rows.filter(kind=kind)
    if standing:
        rows = rows.filter(ended_at=None)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [_of(row) for row in rows.order_by("-pk")[:limit]]


def get_promotion(project_id: int, promotion_id: int) -> PromotionRow | None:
    """One promotion; None where there is none."""
    row = Promotion.objects.filter(project_id=project_id, pk=promotion_id).first()
    return None if row is None else _of(row)


def find_standing(project_id: int, kind: str, subject: str) -> PromotionRow | None:
    """The promotion in force for a subject."""
    row = Promotion.objects.filter(project_id=project_id, kind=kind, subject=subject, ended_at=None).first()
    return None if row is None else _of(row)


def _of(row: Promotion) -> PromotionRow:
    return PromotionRow(
        row.pk, row.kind, row.subject, row.version, row.experiment_id, row.against_id, row.evidence, row.note,
        row.author, row.made_at, row.ended_at, row.ended_as, row.ended_by,
    )  # fmt: skip
