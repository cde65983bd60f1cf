"""What is stored of each kind, how long it is kept, and the proof that sweeps ran."""
