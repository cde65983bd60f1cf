"""Sets of questions to begin with, one for each kind of application. Pure.

Which few metrics are vital depends on what an application is for: a legal summary must be true, copy must sound like
the brand, a shop assistant must end in an order. Each set names the questions and the metrics that would answer them;
those of them that a project watches already are bound, the others are named as missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from alerts.questions.pillars import Pillar


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: `metrics` that would answer it, the best first; `decision`: what one would do on a bad answer."""

    text: str
    pillar: Pillar
    decision: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """A kind of application with the questions that matter to it. `why`: what sets it apart."""

    slug: str
    name: str
    why: str
    questions: tuple[Asked, ...]


_COST = Asked(
    "Is cost per conversation within budget?", Pillar.COST,
    "Shorten prompts, route easy questions to a cheaper model, or cache.",
    ("cost_per_session", "cost_per_request", "cost_per_resolved", "spend"),
)  # fmt: skip
_SLOW = Asked(
    "Is it slow or failing?", Pillar.LATENCY, "Roll back the last deploy or switch the provider.",
    ("ttft", "request_duration", "errors", "silence", "duration"),
)  # fmt: skip

APPLICATIONS: tuple[Application, ...] = (
    Application(
        "shop", "Shop assistant", "Its talk should end in an order; wrong facts about goods cost trust and returns.",
        (
            Asked("Do conversations end in an order?", Pillar.USERS,
                  "Look at the conversations that were left, by feature and prompt version.",
                  ("outcome", "completed", "abandoned", "corrected")),
            Asked("Is answer quality degrading?", Pillar.QUALITY, "Open an incident; compare prompt versions.",
                  ("score", "low_scores", "relevance", "flagged")),
            Asked("Does it state facts that no source supports?", Pillar.SAFETY,
                  "Roll back the prompt or the index; add the cases to the eval dataset.",
                  ("hallucination", "score", "flagged")),
            _COST,
            _SLOW,
        ),
    ),
    Application(
        "copy", "Copywriting", "The voice of the brand and what people keep of a draft matter more than milliseconds.",
        (
            Asked("Does it sound like our brand?", Pillar.QUALITY, "Change the style prompt; run the tone dataset.",
                  ("score", "low_scores", "posted_score")),
            Asked("Do people keep what it writes?", Pillar.USERS, "Read the drafts that were thrown away.",
                  ("outcome", "retried", "thumbs_down", "corrected")),
            Asked("Is anything harmful written?", Pillar.SAFETY, "Stop the feature and look at the answers.",
                  ("toxicity", "flagged", "refusals")),
            Asked("Is cost per text within budget?", Pillar.COST, "Shorten prompts or choose a cheaper model.",
                  ("cost_per_request", "cost_per_session", "spend", "output_tokens")),
        ),
    ),
    Application(
        "legal", "Legal summaries", "A summary that is wrong is worse than none: accuracy first, speed last.",
        (
            Asked("Is every statement supported by the document?", Pillar.SAFETY,
                  "Stop the feature; add the cases to the eval dataset before it is on again.",
                  ("hallucination", "score", "flagged")),
            Asked("Is anything important left out?", Pillar.QUALITY, "Review the misses with a lawyer.",
                  ("score", "low_scores", "relevance")),
            Asked("Do reviewers correct it more than before?", Pillar.USERS, "Read corrections by kind of document.",
                  ("corrected", "outcome", "thumbs_down", "retried")),
            Asked("Does it keep to the wanted form?", Pillar.QUALITY, "Mend the format instructions or the parser.",
                  ("format_compliance", "finish_reasons", "response_length")),
            Asked("Is cost per document within budget?", Pillar.COST, "Cut what is sent along; choose another model.",
                  ("cost_per_request", "input_tokens", "spend")),
        ),
    ),
    Application(
        "support", "Customer support", "Solved without a person, and nobody left in anger.",
        (
            Asked("Are people helped without an agent?", Pillar.USERS, "Read escalated conversations by topic.",
                  ("outcome", "escalated", "abandoned", "completed")),
            Asked("Is answer quality degrading?", Pillar.QUALITY, "Open an incident; compare prompt versions.",
                  ("score", "low_scores", "relevance", "flagged")),
            Asked("Is it safe: no false promises, no leaked data?", Pillar.SAFETY, "Stop the feature, tell the owner.",
                  ("hallucination", "toxicity", "flagged", "refusals")),
            Asked("Is cost per resolved query within budget?", Pillar.COST,
                  "Route easy questions to a cheaper model, or cache.",
                  ("cost_per_resolved", "cost_per_session", "cost_per_request", "spend")),
            _SLOW,
        ),
    ),
)  # fmt: skip
BY_SLUG = {each.slug: each for each in APPLICATIONS}
