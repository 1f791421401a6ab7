"""Gang scheduling solutions: one adapter for each, and in `adapter` what an adapter is."""
