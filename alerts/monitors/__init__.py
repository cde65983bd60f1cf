"""What a monitor is: its definition, what a window of its series holds, the states it can be in. Pure values."""
