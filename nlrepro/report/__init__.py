"""From records to tables, figures and verdicts. Nothing here imports torch or trains."""
