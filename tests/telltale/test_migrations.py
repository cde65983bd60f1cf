"""Models and migrations say the same."""

from __future__ import annotations

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_model_waits_for_a_migration() -> None:
    # Exits with 1, and so fails, where a migration is missing.
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
