"""Judge one observation without a cluster: for the unit tests of a check.

from aiconform.check.testing import findings

found = findings(CHECK, Links(up=3))
assert found["links_are_up"].holds is False
"""

from __future__ import annotations

from aiconform.check.assertion import Finding
from aiconform.check.check import Check
from aiconform.check.observation import Observation


def findings(check: Check, observation: Observation, *others: Observation) -> dict[str, Finding]:
    """What each assertion over this kind of observation finds, by the assertion's id.

    others: further observations of its kind, for the assertions that judge all of them together.
    The observation is written and read again first, as between a run and its judgement, so that a test also shows that
    it survives that. Raises ValueError if no assertion of the check judges such an observation.
    """
    every = [type(each).model_validate_json(each.model_dump_json()) for each in (observation, *others)]
    found = {
        declared.id: declared.function(every if declared.together else every[0])
        for declared in check.assertions
        if isinstance(every[0], declared.over)
    }
    if not found:
        raise ValueError(f"{check.id} has no assertion over {type(observation).__name__}")
    return found
