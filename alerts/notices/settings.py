"""How a project tells, where nobody decided otherwise; and the bounds of what may be decided."""

from __future__ import annotations

# Alarms of one trouble that come within so many seconds are one message of it.
GROUP_SECONDS, GROUP_MOST = 20, 900
# An incident that nobody acknowledges is told again after so many minutes; None never.
REPEAT_MINUTES, REPEAT_LEAST, REPEAT_MOST = 240, 10, 7 * 24 * 60
ALIVE_SECONDS, ALIVE_LEAST, ALIVE_MOST = 60, 30, 3_600
AFTER_LEAST, AFTER_MOST = 1, 7 * 24 * 60
SILENCE_MOST_DAYS = 90
CHANNELS_MAX, ROUTES_MAX, SILENCES_MAX, ADDRESSES_MAX = 50, 200, 200, 20
NAME_MAX, REASON_MAX, FEATURES_MAX, FEATURE_MAX, MONITORS_MAX = 120, 400, 50, 200, 200
