"""Estimators, one module each; `base` is the protocol they follow."""
