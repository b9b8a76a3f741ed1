"""What Tables 4, 5 and 6 share: their records, tables and verdicts. Table 2 needs nothing of it."""
