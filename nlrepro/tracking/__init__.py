"""wandb: logs of runs, and a dashboard in the terminal. No table needs it."""
