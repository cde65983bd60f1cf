"""REST of evals below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from evals.api import scores

urlpatterns: list[URLPattern] = [
    # Scores and estimates
    path("scores", scores.ScoresView.as_view(), name="api-scores"),
    path("scores/names", scores.ScoreNamesView.as_view(), name="api-score-names"),
    path("scores/<str:score_id>", scores.ScoreView.as_view(), name="api-score"),
]
