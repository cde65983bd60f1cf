"""What people are told of a budget: words for pages and messages."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from alerts.allowances.forecast import Outlook
from alerts.allowances.types import Allowance, Do, Of, Period, Step
from telltale.lib import format as fmt

PICO = 10**12
NAMED_MAX = 5
PERIODS = {Period.DAY: "a day", Period.MONTH: "a month"}
NOW = {Period.DAY: "today", Period.MONTH: "this month"}
DO = {
    Do.WARN: "warn",
    Do.SHORTER_CONTEXT: "shorten the context",
    Do.CHEAPER_MODEL: "use a cheaper model",
    Do.CACHED_ANSWER: "answer from the cache alone",
    Do.REFUSE: "refuse",
}


def money(pico: int, unpriced: int = 0, upper_bound: int = 0) -> str:
    """A sum with what it may claim: "at least $3.20"."""
    if unpriced and not pico:
        return "unpriced"
    before = "about " if unpriced and upper_bound else "at least " if unpriced else "at most " if upper_bound else ""
    return before + fmt.cost(Decimal(pico) / PICO)


def whose(allowance: Allowance) -> str:
    """ "The project", "Feature search", "Each user"."""
    if allowance.of == Of.PROJECT:
        return "The project"
    return f"Each {allowance.of}" if allowance.is_each else f"{str(allowance.of).capitalize()} {allowance.subject}"


def subject_of(allowance: Allowance, subject: str) -> str:
    """ "The project", "Feature search", "User u_1": one subject of a budget."""
    return "The project" if allowance.of == Of.PROJECT else f"{str(allowance.of).capitalize()} {subject}"


def share(spent_pico: int, limit_pico: int) -> str:
    """Which part of a limit is spent: "81%"."""
    return fmt.share(spent_pico / limit_pico)


def step(told: Step | None) -> str:
    """What a policy says: "use a cheaper model: gpt-4o-mini"."""
    if told is None:
        return "go on as always"
    return f"{DO[told.do]}: {told.using}" if told.using else DO[told.do]


def forecast(outlook: Outlook) -> str:
    """ "About $12 at its end, 80% interval $11–$14, from 40 days"; how many days are missing where nobody knows."""
    if outlook.pico is None or outlook.low_pico is None or outlook.high_pico is None:
        return f"No forecast yet: it needs {outlook.needed} whole days and has {outlook.n}"
    return (
        f"{about(outlook.pico).capitalize()} at its end, 80% interval {exactly(outlook.low_pico)}{fmt.EN_DASH}"
        f"{exactly(outlook.high_pico)}, from {outlook.n} days"
    )


def about(pico: int) -> str:
    """An estimate of money, rounded as far as it is one."""
    return fmt.about_cost(Decimal(pico) / PICO)


def exactly(pico: int) -> str:
    """A sum of money as pages show it."""
    return fmt.cost(Decimal(pico) / PICO)


def crossed(allowance: Allowance, found: Sequence[tuple[str, int, Decimal]], more: int = 0) -> tuple[str, str]:
    """Title and words of a message: subjects with what they spent and the share they passed, the dearest first."""
    limit, when = exactly(allowance.limit_pico), NOW[allowance.period]
    if len(found) == 1 and not more:
        subject, spent, passed = found[0]
        name = subject_of(allowance, subject)
        is_spent = passed >= 1
        title = f"{name} {'is over' if is_spent else f'has spent {fmt.share(float(passed))} of'} its cost budget"
        said = f"{name} has spent {exactly(spent)} of {limit} {when}, {share(spent, allowance.limit_pico)}."
        return title, f"{said}{_advice(allowance, spent)}"
    n = len(found) + more
    over = sum(passed >= 1 for _, _, passed in found)
    noun = f"{allowance.of}s"
    title = f"{n:,} {noun} passed a mark of the cost budget {allowance.name}"
    named = ", ".join(f"{subject} {exactly(spent)}" for subject, spent, _ in found[:NAMED_MAX])
    rest = f" and {n - NAMED_MAX:,} more" if n > NAMED_MAX else ""
    return title, f"{over:,} of them are over {limit} {when}: {named}{rest}."


def will_not_last(allowance: Allowance, subject: str, spent_pico: int, outlook: Outlook) -> tuple[str, str]:
    """Title and words of a message about an allowance that is forecast to be spent before its period is over."""
    name = subject_of(allowance, subject)
    limit, when = exactly(allowance.limit_pico), NOW[allowance.period]
    title = f"{name} is forecast to go over its cost budget {when}"
    return title, f"{name} has spent {exactly(spent_pico)} of {limit} {when}. {forecast(outlook)}."


def _advice(allowance: Allowance, spent_pico: int) -> str:
    from_here = [each for each in allowance.policy if spent_pico >= each.at * allowance.limit_pico]
    return f" Its policy says now: {step(from_here[-1])}." if from_here else ""
