"""Benchmarks: each one is a command (`python -m benchmarks.NAME`) and says which bar it is measured against."""
