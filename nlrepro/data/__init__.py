"""Videos: the generated task, the reader of video trees, and the loaders of clips."""
