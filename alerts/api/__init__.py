"""REST of alerts: edges that parse, call one function, and answer."""
