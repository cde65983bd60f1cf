"""A message as each kind of receiver takes it: one HTTP request, or a mail. Pure: values in, values out.

Sources: Standard Webhooks 1.0.0 (signatures), Slack "Sending messages using incoming webhooks" and Block Kit limits,
PagerDuty Events API v2 ("Send an alert event"), Microsoft Teams Workflows (adaptive cards), Opsgenie Alert API v2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from alerts.notices import opsgenie, pagerduty, slack, teams, webhook
from alerts.notices.messages import Message
from alerts.notices.requests import Outgoing as Outgoing
from alerts.notices.transitions import Kind
from alerts.notices.wording import STAGES


class ChannelKind(StrEnum):
    """What speaks at the other end."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    TEAMS = "teams"
    OPSGENIE = "opsgenie"


@dataclass(frozen=True, slots=True)
class About:
    """A kind of channel in words, and what it needs. `has_url`: its address is its secret; `has_key`: a key beside it.

    `hosts`: (word, address) of the places that a kind with a key is at.
    """

    kind: ChannelKind
    label: str
    told: str
    has_url: bool = False
    has_key: bool = False
    hosts: tuple[tuple[str, str], ...] = ()


ABOUT = {
    each.kind: each
    for each in (
        About(ChannelKind.EMAIL, "E-mail", "To people or a list, through the installation’s mail server."),
        About(ChannelKind.SLACK, "Slack", "An incoming webhook of a Slack channel.", has_url=True),
        About(
            ChannelKind.PAGERDUTY,
            "PagerDuty",
            "Events API v2: opens an alert for each incident, acknowledges and resolves it with it.",
            has_key=True,
            hosts=(
                ("PagerDuty, United States", "https://events.pagerduty.com/v2/enqueue"),
                ("PagerDuty, Europe", "https://events.eu.pagerduty.com/v2/enqueue"),
            ),
        ),
        About(ChannelKind.TEAMS, "Microsoft Teams", "A workflow that posts to a channel on a request.", has_url=True),
        About(
            ChannelKind.OPSGENIE,
            "Opsgenie",
            "The Alert API v2 of Opsgenie, Jira Service Management or what speaks as they do.",
            has_key=True,
            hosts=(
                ("Opsgenie, United States", "https://api.opsgenie.com"),
                ("Opsgenie, Europe", "https://api.eu.opsgenie.com"),
            ),
        ),
        About(ChannelKind.WEBHOOK, "Webhook", "JSON, signed, to an address of yours.", has_url=True),
    )
}
_REQUESTS: dict[ChannelKind, Callable[[Message, Mapping[str, Any], Mapping[str, Any], datetime], Outgoing | None]] = {
    ChannelKind.WEBHOOK: webhook.request,
    ChannelKind.SLACK: slack.request,
    ChannelKind.PAGERDUTY: pagerduty.request,
    ChannelKind.TEAMS: teams.request,
    ChannelKind.OPSGENIE: opsgenie.request,
}


def carries(kind: ChannelKind, told: Kind) -> bool:
    """Whether a kind of channel has a word for what happened: PagerDuty has none that opens, takes or ends nothing."""
    return kind is not ChannelKind.PAGERDUTY or STAGES[told] in pagerduty.ACTIONS


def request_of(
    kind: ChannelKind, message: Message, config: Mapping[str, Any], secret: Mapping[str, Any], at: datetime
) -> Outgoing | None:
    """The request that tells a receiver; None where it has no word for what happened. KeyError for an e-mail."""
    return _REQUESTS[kind](message, config, secret, at)
