"""The material of judgements, whatever their target is."""

from __future__ import annotations

from collections.abc import Sequence

from evals.judges import Material
from evals.judges.probes import alter
from evals.judging.context import Context
from evals.models import ExperimentResult
from evals.read.material import load_materials, material_of_result
from evals.write.judgements import RESULT, Judgement


def materials_of(context: Context, rows: Sequence[Judgement]) -> dict[int, Material]:
    """What judgements are to look at, by judgement; those whose target is gone are left out."""
    traces = [row for row in rows if row.target_kind != RESULT]
    found: dict[int, Material] = {}
    if traces:
        loaded = load_materials(
            context.project_id, [(row.target_id, row.span_id) for row in traces], context.config.mapping
        )
        for row in traces:
            material = loaded.get((row.target_id, row.span_id))
            if material is not None:
                found[row.judgement_id] = alter(material, row.repeat, context.rubric)
    wanted = {row.target_id: row.judgement_id for row in rows if row.target_kind == RESULT}
    if wanted:
        results = ExperimentResult.objects.filter(
            target_id__in=list(wanted), experiment__project_id=context.project_id
        ).select_related("experiment")
        for result in results:
            material = material_of_result(result)
            for row in rows:
                if row.target_id == result.target_id:
                    found[row.judgement_id] = material
    return found
