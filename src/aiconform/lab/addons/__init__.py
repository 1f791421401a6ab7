"""Add-ons of the lab: what platforms install beside Kubernetes, as `aiconform lab up --with NAME` installs it.

One module for each, and `registry` for all of them; `install` puts them into a lab that is up and takes them out again.
"""
