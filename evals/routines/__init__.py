"""Dated tasks about judges: monthly, quarterly, bias probes; and the injection set, begun by people."""

from evals.routines.asked import begin_now, skip
from evals.routines.attacking import KIND as ATTACKS
from evals.routines.attacking import go_on as go_on_attacks
from evals.routines.tending import EVERY, KINDS, kinds_for, plan, tend, work

__all__ = ["ATTACKS", "EVERY", "KINDS", "begin_now", "go_on_attacks", "kinds_for", "plan", "skip", "tend", "work"]
