"""Which series the product can chart, what each is made of and what it may be asked by. Pure values."""
