"""A second factor that was lost, with its recovery codes: removed by who operates the machine."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db import transaction

from telltale.accounts.models import User
from telltale.accounts.sessions import end_others
from telltale.audit.log import record


def remove_second_factor(user: User, actor: str) -> bool:
    """Remove the app's codes and the recovery codes of `user`, and end their sessions; whether there were any."""
    with transaction.atomic():
        gone, _ = Authenticator.objects.filter(user=user).delete()
        if not gone:
            return False
        ended = end_others(user, None)
        record("factor.remove", actor=actor, target=user.email, after={"sessions_ended": ended})
    return True
