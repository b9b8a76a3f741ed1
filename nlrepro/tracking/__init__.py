"""wandb: logs of runs, a dashboard in the terminal, a workspace. No table needs it."""
