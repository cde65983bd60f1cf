"""What one point does to a chart: learning, watching, alarming, and being quiet again. Pure; live and replay alike."""
