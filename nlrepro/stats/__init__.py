"""Intervals over seeds and test items, and verdicts on sentences. No torch; nothing here formats or draws."""
