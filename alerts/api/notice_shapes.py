"""Shapes of channels, routes, silences and deliveries, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts.addressing.checks import ROUTED
from alerts.notices.outgoing import ChannelKind
from alerts.notices.settings import (
    ADDRESSES_MAX,
    AFTER_LEAST,
    AFTER_MOST,
    ALIVE_LEAST,
    ALIVE_MOST,
    FEATURES_MAX,
    GROUP_MOST,
    MONITORS_MAX,
    NAME_MAX,
    REASON_MAX,
    REPEAT_LEAST,
    REPEAT_MOST,
)
from alerts.notices.transitions import KINDS
from alerts.read.notices import STATES
from telltale.rest import shapes

CHANNEL_KINDS = tuple(kind.value for kind in ChannelKind)
CHANNEL_STATES = ("new", "working", "failing", "off", "archived")


def _severities(**more: Any) -> Any:
    child = serializers.IntegerField(min_value=0, max_value=3)
    return serializers.ListField(child=child, help_text="0 to 3; empty: all.", **more)


def _features(**more: Any) -> Any:
    return serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=FEATURES_MAX, help_text="Empty: all.", **more
    )


class HoursShape(serializers.Serializer[Any]):
    days = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=7), required=False, help_text="Monday 1; absent: all."
    )
    start = serializers.CharField(help_text="09:00, in the project’s zone.")
    end = serializers.CharField(help_text="18:00; before the start: past midnight.")


class RouteShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    channel = serializers.CharField(help_text="The channel's id.")
    severities = _severities()
    features = _features()
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=ROUTED), help_text="Empty: all.")
    hours = HoursShape(allow_null=True, help_text="Null: always.")
    after_minutes = serializers.IntegerField(
        allow_null=True, help_text="Told where nobody acknowledged for so long; null: at once."
    )
    is_on = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class RoutesShape(serializers.Serializer[Any]):
    items = RouteShape(many=True)


class RouteChange(serializers.Serializer[Any]):
    severities = _severities(required=False)
    features = _features(required=False)
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=ROUTED), required=False)
    hours = HoursShape(required=False, allow_null=True)
    after_minutes = serializers.IntegerField(
        required=False, allow_null=True, min_value=AFTER_LEAST, max_value=AFTER_MOST
    )
    is_on = serializers.BooleanField(required=False)


class RouteBody(RouteChange):
    channel = serializers.CharField(max_length=20, help_text="The channel's id.")


class ChannelShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=CHANNEL_KINDS)
    to = serializers.ListField(child=serializers.CharField(), allow_null=True, help_text="Of an e-mail channel.")
    host = serializers.CharField(allow_null=True, help_text="Where it posts to; the address itself is a secret.")
    url = serializers.CharField(allow_null=True, help_text="Of PagerDuty and Opsgenie: the service.")
    secret_hint = serializers.CharField(allow_null=True, help_text="The end of the address or key.")
    is_on = serializers.BooleanField()
    state = serializers.ChoiceField(choices=CHANNEL_STATES)
    waiting = serializers.IntegerField(help_text="Messages that are not there yet.")
    tested_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    paused_until = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)
    routes = RouteShape(many=True)


class MadeChannelShape(ChannelShape):
    signing_key = serializers.CharField(allow_null=True, help_text="Of a webhook: shown this once.")


class ChannelsShape(serializers.Serializer[Any]):
    items = ChannelShape(many=True)


class ChannelChange(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, max_length=NAME_MAX)
    to = serializers.ListField(child=serializers.CharField(max_length=254), required=False, max_length=ADDRESSES_MAX)
    url = serializers.CharField(
        required=False, max_length=2_000,
        help_text="Of Slack, Teams and webhooks: the address, a secret. Of PagerDuty and Opsgenie: the service.",
    )  # fmt: skip
    key = serializers.CharField(required=False, max_length=300, help_text="Of PagerDuty and Opsgenie; a secret.")
    is_on = serializers.BooleanField(required=False)


class ChannelBody(ChannelChange):
    name = serializers.CharField(max_length=NAME_MAX)
    kind = serializers.ChoiceField(choices=CHANNEL_KINDS)
    with_route = serializers.BooleanField(
        required=False, help_text="With a route that leads everything there at once (the default)."
    )


class SigningKeyShape(serializers.Serializer[Any]):
    signing_key = serializers.CharField(help_text="Shown this once; the old key signs beside it for 24 hours.")


class ChannelTestedShape(serializers.Serializer[Any]):
    is_delivered = serializers.BooleanField()
    message = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    delivery = serializers.CharField()


class SilenceShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    start_at = serializers.DateTimeField()
    end_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=("ahead", "on", "over"))
    monitors = serializers.ListField(child=serializers.CharField())
    features = serializers.ListField(child=serializers.CharField())
    severities = _severities()
    reason = serializers.CharField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class SilencesShape(serializers.Serializer[Any]):
    items = SilenceShape(many=True)


class SilenceBody(serializers.Serializer[Any]):
    start_at = serializers.DateTimeField(required=False, help_text="Absent: now.")
    end_at = serializers.DateTimeField()
    monitors = serializers.ListField(
        child=serializers.CharField(max_length=20), required=False, max_length=MONITORS_MAX
    )
    features = _features(required=False)
    severities = _severities(required=False)
    reason = serializers.CharField(max_length=REASON_MAX)


class NoticeSettingsShape(serializers.Serializer[Any]):
    group_seconds = serializers.IntegerField(help_text="Alarms of one trouble that come within are one message.")
    repeat_minutes = serializers.IntegerField(allow_null=True, help_text="Null: never told again.")
    alive_url_set = serializers.BooleanField(help_text="Whether an address is pinged while monitors are evaluated.")
    alive_seconds = serializers.IntegerField()
    alive_at = serializers.DateTimeField(allow_null=True, help_text="The last answer with success.")
    alive_error = serializers.CharField(allow_null=True)


class NoticeSettingsChange(serializers.Serializer[Any]):
    group_seconds = serializers.IntegerField(required=False, min_value=0, max_value=GROUP_MOST)
    repeat_minutes = serializers.IntegerField(
        required=False, allow_null=True, min_value=REPEAT_LEAST, max_value=REPEAT_MOST
    )
    alive_url = serializers.CharField(
        required=False, allow_blank=True, max_length=2_000, help_text="Kept encrypted; empty: none."
    )
    alive_seconds = serializers.IntegerField(required=False, min_value=ALIVE_LEAST, max_value=ALIVE_MOST)


class DeliveryShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    message_id = serializers.CharField(help_text="The same at every attempt and channel: the transition's id.")
    kind = serializers.ChoiceField(choices=[kind.value for kind in KINDS])
    at = serializers.DateTimeField(help_text="When it happened.")
    severity = serializers.IntegerField(allow_null=True)
    incident = serializers.CharField(allow_null=True, help_text="INC-42; null: of no incident.")
    channel = serializers.CharField(allow_null=True, help_text="The channel's id; null: a person, or nobody.")
    to = serializers.CharField(allow_null=True, help_text="Name of the channel or person; null: nobody.")
    state = serializers.ChoiceField(choices=STATES)
    headline = serializers.CharField(allow_null=True, help_text="Null: it was not written yet.")
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField(allow_null=True)
    status = serializers.IntegerField(allow_null=True, help_text="Of the last answer.")
    error = serializers.CharField(allow_null=True)
    receiver_ref = serializers.CharField(allow_null=True, help_text="How the receiver calls it.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class AttemptShape(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    seconds = serializers.FloatField()
    status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)


class OneDeliveryShape(DeliveryShape):
    text = serializers.CharField(allow_null=True, help_text="What it says, as plain text.")
    log = AttemptShape(many=True)


DeliveryPage = shapes.page_of(DeliveryShape, "DeliveryPage")
