"""With what to run Table 4: `smoke`, `mini` and `paper` as TOML files."""
