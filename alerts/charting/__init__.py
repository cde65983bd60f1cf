"""What one window does to a chart: learning, watching, alarming, and being quiet again. Pure; live and replay alike."""
