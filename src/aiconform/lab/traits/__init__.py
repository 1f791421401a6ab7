"""Traits of clusters that are less permissive than the lab; `aiconform lab trait NAME` turns one on while it runs.

Each is described in the module of what it concerns, and `catalog` collects them. None is a defect: a run has to pass,
or to say what the cluster asks for.
"""
