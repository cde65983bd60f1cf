"""REST of the overview and the inbox below `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from telltale.web.api import views
from telltale.web.erasing.urls import api_patterns as erasing_patterns
from telltale.web.keeping.urls import api_patterns as keeping_patterns
from telltale.web.ops.api import DiscardJobView, FailedJobsView, RetryJobView

urlpatterns = [
    path("installation/jobs", FailedJobsView.as_view(), name="api-failed-jobs"),
    path("installation/jobs/<str:job_id>/retry", RetryJobView.as_view(), name="api-failed-job-retry"),
    path("installation/jobs/<str:job_id>/discard", DiscardJobView.as_view(), name="api-failed-job-discard"),
    path("overview", views.OverviewView.as_view(), name="api-overview"),
    path("inbox", views.InboxView.as_view(), name="api-inbox"),
    *erasing_patterns,
    *keeping_patterns,
]
