"""Changes of what a project runs: their kinds, what may be told of one, and what is derived from traces. Pure."""
