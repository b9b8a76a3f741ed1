"""Runs: the Lightning module that all axes share, the loaders, one run, and sweeps of runs."""
