"""One run: the Lightning module that all experiments share, its data, its checkpoints, and where it leaves what it makes."""
