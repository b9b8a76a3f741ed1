"""The Lightning modules of the three tasks, each with its data module and its evaluator."""
