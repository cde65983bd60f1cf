"""Everything a project or one of its users has, as files that people and another installation can read."""
