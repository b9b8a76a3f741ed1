"""Weights that others have released, as this project's: files read safely, names converted, nets tested."""
