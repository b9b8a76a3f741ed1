"""Many runs: which they are, on this machine or a cluster, each by one process at a time, and how far they are."""
