"""Addresses of the pages that keep accounts: what came in, what it costs."""

from __future__ import annotations

from django.urls import path

from traces import pages_accounting, pages_cost, pages_forwarding, pages_masking, pages_prices

SETTINGS = "p/<slug:slug>/settings/prices/"
FORWARDING = "p/<slug:slug>/settings/forwarding/"
MASKING = "p/<slug:slug>/settings/masking/"

urlpatterns = [
    path("p/<slug:slug>/accounting/", pages_accounting.accounting, name="accounting"),
    path("p/<slug:slug>/cost/", pages_cost.cost, name="cost"),
    path(FORWARDING, pages_forwarding.targets, name="forwarding"),
    path(f"{FORWARDING}new/", pages_forwarding.new, name="forwarding_new"),
    path(f"{FORWARDING}<int:target_id>/", pages_forwarding.change, name="forwarding_change"),
    path(f"{FORWARDING}<int:target_id>/test/", pages_forwarding.test, name="forwarding_test"),
    path(f"{FORWARDING}<int:target_id>/pause/", pages_forwarding.pause, name="forwarding_pause"),
    path(f"{FORWARDING}<int:target_id>/resume/", pages_forwarding.resume, name="forwarding_resume"),
    path(f"{FORWARDING}<int:target_id>/remove/", pages_forwarding.remove, name="forwarding_remove"),
    path(MASKING, pages_masking.masking, name="masking"),
    path(f"{MASKING}try/", pages_masking.masking_try, name="masking_try"),
    path(f"{MASKING}reapply/", pages_masking.masking_reapply, name="masking_reapply"),
    path(SETTINGS, pages_prices.book, name="prices"),
    path(f"{SETTINGS}new/", pages_prices.new, name="prices_new"),
    path(f"{SETTINGS}<int:price_id>/", pages_prices.correct, name="price_correct"),
    path(f"{SETTINGS}<int:price_id>/end/", pages_prices.end, name="price_end"),
    path(f"{SETTINGS}again/", pages_prices.again, name="prices_again"),
    path(f"{SETTINGS}again/<int:job_id>/", pages_prices.job, name="reprice_job"),
    path(f"{SETTINGS}again/<int:job_id>/apply/", pages_prices.job_apply, name="reprice_apply"),
    path(f"{SETTINGS}again/<int:job_id>/cancel/", pages_prices.job_cancel, name="reprice_cancel"),
]
