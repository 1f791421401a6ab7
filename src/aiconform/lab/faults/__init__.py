"""Deliberate defects of the lab: what each assertion of the suite must notice."""
