"""Faults: deliberate defects of the lab that the assertions of the suite have to detect."""
