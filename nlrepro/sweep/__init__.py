"""Many runs: on this machine or on a cluster, each by one process at a time."""
