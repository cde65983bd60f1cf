"""The only door to the rows of alerts: frozen values, by what a page or another room asks."""
