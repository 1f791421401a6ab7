"""Plans and executes runs, writes their evidence, and computes verdicts from it."""
