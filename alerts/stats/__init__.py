"""Statistics of alerts: arrays and numbers in, frozen results out; no state, no clock, no framework."""
