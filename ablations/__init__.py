"""The paper's tables, a file each; registry.py holds all, `python -m ablations` is the command line."""
