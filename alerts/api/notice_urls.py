"""REST of notifications below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.api import channels, deliveries

urlpatterns: list[URLPattern] = [
    path("channels", channels.ChannelsView.as_view(), name="api-channels"),
    path("channels/<str:channel>", channels.OneChannelView.as_view(), name="api-channel"),
    path("channels/<str:channel>/test", channels.ChannelTestView.as_view(), name="api-channel-test"),
    path("channels/<str:channel>/rotate", channels.ChannelRotateView.as_view(), name="api-channel-rotate"),
    path("routes", channels.RoutesView.as_view(), name="api-routes"),
    path("routes/<str:route>", channels.OneRouteView.as_view(), name="api-route"),
    path("silences", deliveries.SilencesView.as_view(), name="api-silences"),
    path("silences/<str:silence>", deliveries.OneSilenceView.as_view(), name="api-silence"),
    path("deliveries", deliveries.DeliveriesView.as_view(), name="api-deliveries"),
    path("deliveries/<str:delivery>", deliveries.OneDeliveryView.as_view(), name="api-delivery"),
    path("deliveries/<str:delivery>/retry", deliveries.RetryView.as_view(), name="api-delivery-retry"),
    path("notices/settings", channels.NoticeSettingsView.as_view(), name="api-notices-settings"),
]
