"""What the users of a session did, from its turns and signals alone, by stated definitions. Pure."""
