"""The demo's judges: rules that need no model on every answer, and a judge that calls the stand-in on a sample of them.

Set up before anything is sent, by the same functions as people's own; set up again, nothing changes but the address of
the stand-in.
"""

from __future__ import annotations

from typing import Any

from evals import setup
from evals.read import setup as read
from evals.reviewing.queues import WantedQueue, add_queue
from telltale.projects.models import Project
from telltale.run.stand_in import MODEL

CONNECTION = "Stand-in (not a model)"
QUALITY, CHECKS = "answer-quality", "format-and-safety"
ACTOR = "telltale demo"
REASON = "The demo shows how a judge works that nobody has calibrated; the stand-in's scores mean nothing."
# What the stand-in's tokens are said to cost, as those of a small model; pico-dollars a token.
INPUT_PICO, OUTPUT_PICO = 800_000, 4_000_000
_FIVE = {"kind": "points", "low": 1, "high": 5}
QUALITY_RUBRIC: dict[str, Any] = {
    "instructions": "Score the answer against the documents. Quote the claim you object to.",
    "criteria": [
        {
            "key": "correctness",
            "title": "Correctness",
            "definition": "Every claim about price, time or eligibility stands in a document.",
            "scale": {
                **_FIVE,
                "anchors": {
                    "1": "A claim about price, time or eligibility is in no document, or against one.",
                    "3": "One minor claim is in no document.",
                    "5": "Every claim is in a document.",
                },
            },
            "flag_at_most": 2,
        },
        {
            "key": "completeness",
            "title": "Completeness",
            "definition": "The answer says all that the shopper needs for the next step.",
            "scale": {
                **_FIVE,
                "anchors": {"1": "It leaves the question open.", "3": "One step is missing.", "5": "It says all."},
            },
        },
        {
            "key": "tone",
            "title": "Tone",
            "definition": "The answer is polite and speaks to the shopper in plain words.",
            "scale": {**_FIVE, "anchors": {"1": "It is rude.", "3": "It is curt.", "5": "It is polite and plain."}},
        },
    ],
}
QUALITY_CONFIG: dict[str, Any] = {
    "parts": ["messages", "question", "documents", "tools", "answer"],
    "with_documents": True,
    "flag": {"criteria": {"correctness": 2}, "mean_at_most": 2},
}
# Returns are where money is lost by a wrong answer: more of them are looked at.
QUALITY_PLAN: dict[str, Any] = {
    "kind": "strata", "by": "feature", "shares": {"returns": 0.6}, "other": 0.06,
    "filter": {"environment": ["production"]},
}  # fmt: skip
_YES_NO = {"kind": "boolean"}
CHECKS_RUBRIC: dict[str, Any] = {
    "criteria": [
        {
            "key": "figures_known",
            "title": "Figures known",
            "definition": "Every figure in the answer stands in a document, a tool's result or the question.",
            "scale": _YES_NO,
        },
        {
            "key": "answered",
            "title": "Answered",
            "definition": "The answer does not refuse.",
            "scale": _YES_NO,
        },
        {
            "key": "no_personal_data",
            "title": "No personal data",
            "definition": "The answer holds no address, phone, card or account number.",
            "scale": _YES_NO,
        },
        {
            "key": "in_time",
            "title": "In time",
            "definition": "The answer took 5 s at most.",
            "scale": _YES_NO,
        },
    ]
}
CHECKS_CONFIG: dict[str, Any] = {
    "rules": [
        {"criterion": "figures_known", "kind": "numbers"},
        {"criterion": "answered", "kind": "refusal"},
        {"criterion": "no_personal_data", "kind": "pii"},
        {"criterion": "in_time", "kind": "latency", "at_most_ms": 5000},
    ],
    "flag": {"criteria": {"figures_known": 0, "no_personal_data": 0}},
}


def set_up_judges(project_id: int, stand_in_url: str) -> None:
    """The demo's judges; the one that calls a model only where there is a stand-in. Safe to repeat."""
    project = Project.objects.get(pk=project_id)
    set_up_rule_judge(project)
    if stand_in_url:
        set_up_model_judge(project, stand_in_url)


def set_up_rule_judge(project: Project) -> None:
    """A judge of rules on every answer, live. It needs no model and costs nothing. Safe to repeat."""
    if read.get_judge(project.pk, CHECKS) is not None:
        return
    rubric = setup.save_rubric(project, CHECKS_RUBRIC, slug=CHECKS, name="Format and safety")
    setup.save_judge(
        project, slug=CHECKS, name="Format and safety", kind="rule", rubric_version_id=rubric.id, config=CHECKS_CONFIG
    )
    setup.make_live(project, CHECKS)
    setup.set_plan(project, CHECKS, {"kind": "all"})


def set_up_model_judge(project: Project, stand_in_url: str) -> None:
    """A judge of answers whose model is the stand-in at this address, live, with its plan. Safe to repeat."""
    there = {connection.name: connection for connection in read.list_connections(project.pk)}
    if CONNECTION in there:
        connection = there[CONNECTION]
        if connection.base_url != stand_in_url:
            setup.change_connection(project, connection.id, base_url=stand_in_url)
    else:
        connection = setup.add_connection(
            project, name=CONNECTION, kind="openai", base_url=stand_in_url, timeout_seconds=20.0, is_stand_in=True,
            input_pico=INPUT_PICO, output_pico=OUTPUT_PICO,
        )  # fmt: skip
    if read.get_judge(project.pk, QUALITY) is not None:
        return
    rubric = setup.save_rubric(project, QUALITY_RUBRIC, slug=QUALITY, name="Answer quality")
    setup.save_judge(
        project, slug=QUALITY, name="Answer quality", kind="model", rubric_version_id=rubric.id,
        connection_id=connection.id, model=MODEL, config=QUALITY_CONFIG,
    )  # fmt: skip
    setup.make_live(project, QUALITY, reason=REASON)
    setup.set_plan(project, QUALITY, QUALITY_PLAN)
    flagged = WantedQueue("Flagged answers", kind="rules", judge=QUALITY, config={"rules": ["flagged"]}, is_blind=False)
    add_queue(project, flagged, actor=ACTOR)
