"""One run: its training loop and its checkpoints; and the shipped nets that runs start from."""
