"""Estimators of evals: arrays and numbers in, frozen results out."""
