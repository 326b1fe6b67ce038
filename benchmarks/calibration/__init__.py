"""How often intervals hold the truth, and verdicts err: `python -m benchmarks.calibration`."""
