"""What may be said of what an end user did: kinds, names, values and keys of signals. Pure."""
