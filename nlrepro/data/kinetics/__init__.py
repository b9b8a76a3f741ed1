"""Trees of real videos, such as Kinetics-400: which videos belong, which of them can be used, and clips of these."""
