"""Sampling plans: which traces are drawn, with which probability, by which salt. Pure."""
