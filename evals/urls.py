"""Pages of evals below `/p/<slug>/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from evals.pages import (
    backfills,
    calibration,
    connections,
    datasets,
    evaluation,
    experiments,
    judge,
    judges,
    models,
    plans,
    probes,
    quality,
    retrieval,
    review,
    review_queues,
    routines,
    rubrics,
    runs,
    survivorship,
)

P = "p/<slug:slug>/"
REVIEW = P + "review/"
CONNECTIONS = P + "settings/connections/"
JUDGES, RUBRICS = P + "judges/", P + "rubrics/"
CALIBRATION = P + "judges/<slug:judge>/calibration/"
ROUTINES = P + "judges/<slug:judge>/routines/"
DATASETS = P + "datasets/"
EXPERIMENTS = P + "experiments/"
PROBES, SUITE = P + "probes/", P + "probes/suites/<slug:suite>/"

urlpatterns: list[URLPattern] = [
    path(P + "quality/", quality.quality, name="quality"),
    path(P + "signals/", survivorship.survivorship, name="survivorship"),
    path(P + "signals/silent/", survivorship.silent, name="survivorship_silent"),
    path(P + "signals/anchor/", survivorship.anchor, name="survivorship_anchor"),
    # Setting up: connections, rubrics, judges, plans
    path(CONNECTIONS, connections.connections, name="connections"),
    path(CONNECTIONS + "new/", connections.new, name="connection_new"),
    path(CONNECTIONS + "<int:connection_id>/", connections.change, name="connection_change"),
    path(CONNECTIONS + "<int:connection_id>/test/", connections.test, name="connection_test"),
    path(CONNECTIONS + "<int:connection_id>/archive/", connections.archive, name="connection_archive"),
    path(CONNECTIONS + "<int:connection_id>/restore/", connections.restore, name="connection_restore"),
    path(P + "settings/evaluation/", evaluation.evaluation, name="evaluation"),
    path(RUBRICS, rubrics.rubrics, name="rubrics"),
    path(RUBRICS + "new/", rubrics.new, name="rubric_new"),
    path(RUBRICS + "<slug:rubric>/", rubrics.rubric, name="rubric"),
    path(RUBRICS + "<slug:rubric>/archive/", rubrics.archive, name="rubric_archive"),
    path(JUDGES, judges.judges, name="judges"),
    path(JUDGES + "new/", judges.new, name="judge_new"),
    path(JUDGES + "try/<int:try_id>/", judge.tried, name="judge_try"),
    path(JUDGES + "<slug:judge>/", judge.judge, name="judge"),
    path(JUDGES + "<slug:judge>/state/", judge.state, name="judge_state"),
    path(JUDGES + "<slug:judge>/runs/", runs.runs, name="judge_runs"),
    path(JUDGES + "<slug:judge>/plan/", plans.plan, name="judge_plan"),
    path(JUDGES + "<slug:judge>/plan/end/", plans.end, name="judge_plan_end"),
    path(JUDGES + "<slug:judge>/backfill/", backfills.backfills, name="judge_backfill"),
    path(JUDGES + "<slug:judge>/backfill/<int:backfill_id>/", backfills.backfill, name="judge_backfill_one"),
    # Review: what waits, and the queues
    path(REVIEW, review.review, name="review"),
    path(REVIEW + "queues/", review_queues.queue_list, name="review_queues"),
    path(REVIEW + "new/", review_queues.queue_new, name="review_queue_new"),
    path(REVIEW + "add/", review_queues.item_add, name="review_add"),
    path(REVIEW + "export/", review_queues.export, name="review_export"),
    path(REVIEW + "<slug:queue>/", review_queues.queue_page, name="review_queue"),
    path(REVIEW + "<slug:queue>/edit/", review_queues.queue_edit, name="review_queue_edit"),
    path(REVIEW + "<slug:queue>/close/", review_queues.queue_close, name="review_queue_close"),
    path(REVIEW + "<slug:queue>/items/<int:item_id>/", review_queues.item_change, name="review_item"),
    path(REVIEW + "<slug:queue>/hold/", review.hold, name="review_hold"),
    path(REVIEW + "<slug:queue>/verdict/", review.verdict, name="review_verdict"),
    path(REVIEW + "<slug:queue>/skip/", review.skip, name="review_skip"),
    path(REVIEW + "<slug:queue>/undo/", review.undo, name="review_undo"),
    path(REVIEW + "<slug:queue>/renew/", review.renew, name="review_renew"),
    path(REVIEW + "<slug:queue>/leave/", review.leave, name="review_leave"),
    # Calibration and the dated checks of judges
    path(CALIBRATION, calibration.calibration, name="calibration"),
    path(CALIBRATION + "again/", calibration.again, name="calibration_again"),
    path(CALIBRATION + "compare/", calibration.compare, name="calibration_compare"),
    path(CALIBRATION + "gate/", calibration.gate, name="calibration_gate"),
    path(CALIBRATION + "new/", calibration.task, name="calibration_task"),
    path(ROUTINES, routines.routine_list, name="routines"),
    path(ROUTINES + "new/", routines.begin, name="routine_begin"),
    path(ROUTINES + "<int:routine_id>/", routines.routine, name="routine"),
    path(ROUTINES + "<int:routine_id>/skip/", routines.skip, name="routine_skip"),
    # Datasets and experiments
    path(DATASETS, datasets.dataset_list, name="datasets"),
    path(DATASETS + "add/", datasets.dataset_add, name="dataset_add"),
    path(DATASETS + "<slug:dataset>/", datasets.dataset_page, name="dataset"),
    path(DATASETS + "<slug:dataset>/diff/", datasets.dataset_diff, name="dataset_diff"),
    path(DATASETS + "<slug:dataset>/settings/", datasets.dataset_settings, name="dataset_settings"),
    path(DATASETS + "<slug:dataset>/items/new/", datasets.items_new, name="dataset_items_new"),
    path(DATASETS + "<slug:dataset>/item/<str:item_key>/", datasets.dataset_item, name="dataset_item"),
    path(DATASETS + "<slug:dataset>/item/<str:item_key>/remove/", datasets.item_remove, name="dataset_item_remove"),
    path(EXPERIMENTS, experiments.experiment_list, name="experiments"),
    path(EXPERIMENTS + "new/", experiments.experiment_new, name="experiment_new"),
    path(EXPERIMENTS + "<int:experiment_id>/", experiments.experiment_page, name="experiment"),
    *(
        path(EXPERIMENTS + f"<int:experiment_id>/{act}/", experiments.experiment_act, {"act": act}, f"experiment_{act}")
        for act in ("finish", "cancel", "remove")
    ),
    path(PROBES, probes.probe_list, name="probes"),
    path(PROBES + "new/", probes.suite_new, name="probe_suite_new"),
    path(PROBES + "<int:series_id>/", probes.probe_page, name="probe"),
    path(PROBES + "<int:series_id>/baseline/", probes.probe_baseline, name="probe_baseline"),
    path(PROBES + "alarms/<int:probe_alarm>/", probes.probe_alarm, name="probe_alarm"),
    path(SUITE, probes.suite_page, name="probe_suite"),
    *(
        path(SUITE + f"{act}/", probes.suite_act, {"act": act}, f"probe_suite_{act}")
        for act in ("run", "cancel", "archive")
    ),
    path(SUITE + "probes/new/", probes.probe_edit, name="probe_new"),
    path(SUITE + "probes/<slug:key>/", probes.probe_edit, name="probe_edit"),
    path(SUITE + "probes/<slug:key>/remove/", probes.probe_remove, name="probe_remove"),
    path(P + "models/", models.model_list, name="models"),
    path(P + "models/promote/", models.promote, name="promote"),
    path(P + "models/promotions/<int:promotion_id>/withdraw/", models.promotion_withdraw, name="promotion_withdraw"),
    path(P + "retrieval/", retrieval.retrieval, name="retrieval"),
    path(P + "retrieval/<str:trace>/", retrieval.documents, name="retrieval_documents"),
]
