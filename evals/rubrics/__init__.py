"""Rubrics: criteria with scales, definitions and examples; reading, linting, presets. Pure."""
