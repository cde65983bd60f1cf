"""How judging is told apart from the application it judges: by the service its calls name."""

from __future__ import annotations

# What judges must set as `service.name` of the calls they make; requests of this service are on no application's bill.
JUDGE_SERVICE = "telltale.judge"
