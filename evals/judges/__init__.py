"""Judges as values: material in, verdicts out. Prompts, replies, rules; nothing here speaks to the outside."""
