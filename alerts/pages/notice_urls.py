"""Addresses of notifications: channels and routes, silences, the log."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.pages import channels, notices

CHANNELS = "p/<slug:slug>/settings/channels/"
INCIDENTS = "p/<slug:slug>/incidents/"

urlpatterns: list[URLPattern] = [
    path(CHANNELS, channels.channel_list, name="channels"),
    path(CHANNELS + "new/", channels.channel_new, name="channel_new"),
    path(CHANNELS + "telling/", channels.telling, name="telling"),
    path(CHANNELS + "<int:channel_id>/", channels.channel_edit, name="channel_edit"),
    path(CHANNELS + "<int:channel_id>/test/", channels.channel_test, name="channel_test"),
    path(CHANNELS + "<int:channel_id>/switch/", channels.channel_switch, name="channel_switch"),
    path(CHANNELS + "<int:channel_id>/rotate/", channels.channel_rotate, name="channel_rotate"),
    path(CHANNELS + "<int:channel_id>/remove/", channels.channel_remove, name="channel_remove"),
    path(CHANNELS + "<int:channel_id>/route/", channels.route_new, name="route_new"),
    path(CHANNELS + "routes/<int:route_id>/", channels.route_edit, name="route_edit"),
    path(CHANNELS + "routes/<int:route_id>/remove/", channels.route_remove, name="route_remove"),
    path(INCIDENTS + "notices/", notices.notice_log, name="notices"),
    path(INCIDENTS + "notices/<int:delivery_id>/", notices.notice, name="notice"),
    path(INCIDENTS + "notices/<int:delivery_id>/retry/", notices.notice_retry, name="notice_retry"),
    path(INCIDENTS + "silences/", notices.silence_list, name="silences"),
    path(INCIDENTS + "silences/new/", notices.silence_new, name="silence_new"),
    path(INCIDENTS + "silences/<int:silence_id>/end/", notices.silence_end, name="silence_end"),
]
