"""Weights that others have released, as this project's: their files read safely, their names mapped, their nets built."""
