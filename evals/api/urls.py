"""REST of evals below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from evals.api import calibration, datasets, estimates, experiments, labels, review, scores

urlpatterns: list[URLPattern] = [
    # Scores and estimates
    path("scores", scores.ScoresView.as_view(), name="api-scores"),
    path("scores/names", scores.ScoreNamesView.as_view(), name="api-score-names"),
    path("scores/<str:score_id>", scores.ScoreView.as_view(), name="api-score"),
    path("estimates", estimates.EstimatesView.as_view(), name="api-estimates"),
    # Datasets and experiments
    path("datasets", datasets.DatasetsView.as_view(), name="api-datasets"),
    path("datasets/<str:dataset>", datasets.DatasetView.as_view(), name="api-dataset"),
    path("datasets/<str:dataset>/versions", datasets.VersionsView.as_view(), name="api-dataset-versions"),
    path("datasets/<str:dataset>/items", datasets.ItemsView.as_view(), name="api-dataset-items"),
    path("datasets/<str:dataset>/items/<str:item_key>", datasets.ItemView.as_view(), name="api-dataset-item"),
    path("datasets/<str:dataset>/diff", datasets.DiffView.as_view(), name="api-dataset-diff"),
    path("experiments", experiments.ExperimentsView.as_view(), name="api-experiments"),
    path("experiments/<str:experiment_id>", experiments.ExperimentView.as_view(), name="api-experiment"),
    path("experiments/<str:experiment_id>/results", experiments.ResultsView.as_view(), name="api-experiment-results"),
    path("experiments/<str:experiment_id>/finish", experiments.FinishView.as_view(), name="api-experiment-finish"),
    path("experiments/<str:experiment_id>/cancel", experiments.CancelView.as_view(), name="api-experiment-cancel"),
    path("experiments/<str:experiment_id>/judge", experiments.JudgeView.as_view(), name="api-experiment-judge"),
    path(
        "experiments/<str:experiment_id>/comparison",
        experiments.ComparisonView.as_view(),
        name="api-experiment-comparison",
    ),
    # Calibration and the dated checks of judges
    path("calibrations", calibration.CalibrationsView.as_view(), name="api-calibrations"),
    path("calibrations/pairs", calibration.PairsView.as_view(), name="api-calibration-pairs"),
    path("calibrations/compare", calibration.CompareVersionsView.as_view(), name="api-calibration-compare"),
    path("calibrations/gate", calibration.GateView.as_view(), name="api-calibration-gate"),
    path("calibrations/tasks", calibration.CalibrationTasksView.as_view(), name="api-calibration-tasks"),
    path("calibrations/<str:calibration_id>", calibration.CalibrationView.as_view(), name="api-calibration"),
    path("routines", calibration.RoutinesView.as_view(), name="api-routines"),
    path("routines/<str:routine_id>", calibration.RoutineView.as_view(), name="api-routine"),
    # Review queues, reviews, labels from elsewhere
    path("review/queues", review.QueuesView.as_view(), name="api-review-queues"),
    path("review/queues/<str:queue>", review.QueueView_.as_view(), name="api-review-queue"),
    path("review/queues/<str:queue>/items", review.QueueItemsView.as_view(), name="api-review-items"),
    path("review/queues/<str:queue>/claim", review.ClaimView.as_view(), name="api-review-claim"),
    path("review/queues/<str:queue>/undo", review.UndoView.as_view(), name="api-review-undo"),
    path("review/items/<str:item_id>", review.ItemView_.as_view(), name="api-review-item"),
    path("review/items/<str:item_id>/verdict", review.VerdictView.as_view(), name="api-review-verdict"),
    path("review/items/<str:item_id>/skip", review.SkipView.as_view(), name="api-review-skip"),
    path("review/items/<str:item_id>/renew", review.RenewView.as_view(), name="api-review-renew"),
    path("review/items/<str:item_id>/release", review.GiveBackView.as_view(), name="api-review-release"),
    path("reviews", review.ReviewsView.as_view(), name="api-reviews"),
    path("reviews/<str:review_id>", review.ReviewView_.as_view(), name="api-review"),
    path("labels/import", labels.LabelsImportView.as_view(), name="api-labels-import"),
    path("labels/export", labels.LabelsExportView.as_view(), name="api-labels-export"),
]
