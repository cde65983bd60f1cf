"""Made-up traffic of a made-up shop, sent through the public endpoints, so that every page has something to show.

`texts` (what is said) -> `story` (who says it, when) -> `turns` (the steps of one answer) -> `play` (the SDK).
Everything up to `play` is pure: the same seed, day and clock give the same spans.
"""
