"""What waits for a person, whatever room it comes from, in one list."""
