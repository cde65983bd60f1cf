"""Probes at work: suites set up, runs made on schedule, answers judged by their baseline, alarms and their ends."""
