"""Full-text search without a database: words of any script, what a query asks, and the index's own file format."""
