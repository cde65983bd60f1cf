"""Dated tasks about judges: monthly, quarterly, bias probes."""

from evals.routines.asked import begin_now, skip
from evals.routines.tending import EVERY, KINDS, kinds_for, plan, tend, work

__all__ = ["EVERY", "KINDS", "begin_now", "kinds_for", "plan", "skip", "tend", "work"]
