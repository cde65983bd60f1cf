"""REST of what several rooms say together: the overview and the inbox."""
