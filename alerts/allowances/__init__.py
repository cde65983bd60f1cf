"""Cost budgets without rows: what one says, what it advises, what its period will come to. Pure."""
