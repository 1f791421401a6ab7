"""Add-ons of the lab: components that platforms install on Kubernetes; `aiconform lab up --with NAME` installs them.

Each has a module of its own, and `registry` collects them. `install` installs them and removes them.
"""
