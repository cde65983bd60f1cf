"""Questions a team asks of its application, and which metrics answer them. Pure."""
