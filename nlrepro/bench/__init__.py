"""`make bench`: the non-local block against its direct form and public implementations, time and memory, as ratios."""
