"""Whether the Pods that agent-sandbox made have another kernel than the control Pod."""

from __future__ import annotations

from aiconform.checks.workload_sandboxing.kernels import Compared, behaviour, compare
from aiconform.checks.workload_sandboxing.observations import AgentPod, Isolation, Sight

_OFF = "--set workload_sandboxing.agent_sandbox=off leaves agent-sandbox out"


def agents_another(seen: Isolation) -> tuple[bool | None, str]:
    """(whether all of them do, in words); None if that is not known of one, True where there are none."""
    control = seen.control
    if seen.agents_left_out:
        return True, f"agent-sandbox is left out ({seen.agents_left_out})"
    if control is None or not seen.agents:
        return True, ""
    told, known = [], list[bool | None]()
    for each in seen.agents:
        another, words = _of(each, seen, control)
        known.append(another)
        told.append(f"a Pod by agent-sandbox's {each.way}: {words}")
    if False in known:
        return False, "; ".join(told)
    if None in known:
        return None, f"{'; '.join(told)}; {_OFF}"
    return True, f"Pods by agent-sandbox's {' and '.join(each.way for each in seen.agents)} have another kernel, too"


def _of(agent: AgentPod, seen: Isolation, control: Sight) -> tuple[bool | None, str]:
    if agent.kernel is None:
        return None, agent.problem or "it told nothing"
    said = compare(agent.kernel, control.kernel, release=seen.release, boot=seen.boot)
    did = behaviour(agent.samples, control, seen.pulse_threads, seen.pulse_shared)
    found = Compared((*said.same, *did.same), said.different, did.apart, did.untold)
    if found.same:
        return False, found.words
    # Of the same class another Pod showed by its counters that it has a kernel of its own.
    same_class = agent.runtime_class == seen.name
    return (True if found.different and same_class else None), found.words
