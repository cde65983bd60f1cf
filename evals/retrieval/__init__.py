"""Figures of retrieval from judged documents. Pure."""
