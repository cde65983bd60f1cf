"""Made-up traffic of a made-up shop, sent through the public endpoints, so that every page has something to show.

`texts` (what is said) -> `story` (who says it, when) -> `turns` (the spans of one answer) -> `wire` (OTLP) -> `send`.
Everything up to `wire` is pure: the same seed, first day and clock give the same spans.
"""
