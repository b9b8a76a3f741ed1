"""The seven experiments of `ablations/` together: all their runs, what the records of these say, and where that is shown."""
