"""Table 2 of the paper, an experiment a file; registry.py holds all seven, `python -m ablations` is the command line."""
