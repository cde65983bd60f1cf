"""What a trace adds to the roll-ups, in which buckets, and how that is written down. Pure."""
