"""Detectors: a frozen baseline and a small state in, one verdict a point out. Pure: no clock, no database, no network.

Every kind has `learn(points, settings, seed)` and `step(baseline, state, point)`; what they promise is in `base`.
"""
