"""What an operator of the installation sees: whether work moves, what failed, how full the disk gets."""
