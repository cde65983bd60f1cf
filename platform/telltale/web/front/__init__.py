"""The overview of a project: is anything wrong, how sure are we, whose turn is it."""
