"""Pure rules of incidents: what groups, which step is due when, how it is said. No rows, no clock of their own."""
