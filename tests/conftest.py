"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# Machines that tests run on are shared: how long one example takes says nothing of the code.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
