"""The sandboxes that a platform offers: RuntimeClasses, and the templates of agent-sandbox that name them.

What is known of a runtime (sandboxes.yaml) only says what to try first. A name proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from aiconform.cluster import Forbidden, NotFound, Object
from aiconform.platform.inventory import Platform
from aiconform.spec import yamlfile

API = "node.k8s.io/v1"
AGENTS = "agents.x-k8s.io"
EXTENSIONS = "extensions.agents.x-k8s.io"
# The newest first. https://github.com/kubernetes-sigs/agent-sandbox
AGENT_VERSIONS = ("v1beta1", "v1alpha1")


class KnownRuntime(BaseModel):
    """What is known of a runtime; the fields are explained at the top of sandboxes.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    classes: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    last: str = ""
    machine: bool = False
    why: str = ""
    source: str

    def fits(self, name: str, handler: str) -> bool:
        by_name = any(fnmatchcase(name, pattern) for pattern in self.classes)
        return by_name or any(fnmatchcase(handler, pattern) for pattern in self.handlers)


@dataclass(frozen=True)
class SandboxClass:
    """A RuntimeClass that may be a sandbox. known: the runtime, if its name or handler is known.

    handler: empty if RuntimeClasses may not be listed. template: the agent-sandbox template that names it. labels: of
    the nodes that its Pods may run on.
    """

    name: str
    handler: str = ""
    known: KnownRuntime | None = None
    template: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def runs_on(self, labels: Mapping[str, str] | None) -> bool:
        """Whether its Pods may run on a node with these labels."""
        return {*self.labels} <= {*(labels or {}).items()}

    @property
    def machine(self) -> bool:
        return self.known is not None and self.known.machine

    def __str__(self) -> str:
        what = [f"handler {self.handler}"] if self.handler else []
        what += [self.known.title if self.known else "of an unknown runtime"]
        what += [f"named by SandboxTemplate {self.template}"] if self.template else []
        return f"RuntimeClass {self.name} ({', '.join(what)})"


@dataclass(frozen=True)
class AgentSandbox:
    """What is served of agent-sandbox, as apiVersions; empty if it is not. templates: (its name, the class it names).

    problem: what of it cannot be used or read, in words.
    """

    core: str = ""
    extensions: str = ""
    templates: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Sandboxes:
    """classes: to try, the best first. passed_over: RuntimeClasses that are not tried, with the reason."""

    classes: tuple[SandboxClass, ...] = ()
    passed_over: tuple[str, ...] = ()
    agents: AgentSandbox = field(default_factory=AgentSandbox)

    @property
    def looked(self) -> str:
        """What was looked at, where nothing was found."""
        passed = f"RuntimeClasses {'; '.join(self.passed_over)}" if self.passed_over else "there is no RuntimeClass"
        agents = "agent-sandbox is served" if self.agents.core else "the CRDs of agent-sandbox are not there"
        return f"{passed}; {agents}" + (f" ({self.agents.problem})" if self.agents.problem else "")


@cache
def known_runtimes() -> tuple[tuple[KnownRuntime, ...], tuple[KnownRuntime, ...]]:
    """(sandboxes, ordinary runtimes), in the order in which they are compared with a class."""
    name = "sandboxes.yaml"
    content = yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data
    sandboxes, ordinary = (tuple(map(KnownRuntime.model_validate, content[key])) for key in ("sandboxes", "ordinary"))
    return sandboxes, ordinary


async def sandboxes(platform: Platform, wanted: str = "") -> Sandboxes:
    """The sandboxes to try; wanted: the only RuntimeClass to try. Raises Forbidden if classes may not be listed."""
    agents = await agent_sandbox(platform)
    try:
        found = [each async for each in platform.cluster.list(API, "RuntimeClass")]
    except NotFound:
        found = []
    except Forbidden:
        if not wanted:
            raise
        return Sandboxes((SandboxClass(wanted),), agents=agents)
    return choose(found, agents, wanted)


def choose(found: Iterable[Object], agents: AgentSandbox, wanted: str = "") -> Sandboxes:
    """As `sandboxes`, from what was read. Where the user names a class, it is the only one, whatever its runtime."""
    templates = {runtime: template for template, runtime in reversed(agents.templates)}
    classes, passed_over = [], []
    for each in found:
        name, handler = each["metadata"]["name"], str(each.get("handler") or "")
        known, ordinary = _known(name, handler)
        if wanted and name != wanted:
            continue
        if ordinary and not wanted and name not in templates:
            passed_over.append(f"{name} (handler {handler}, {ordinary.title}: {ordinary.why})")
            continue
        only = (each.get("scheduling") or {}).get("nodeSelector") or {}
        classes.append(SandboxClass(name, handler, known, templates.get(name, ""), tuple(sorted(only.items()))))
    return Sandboxes(tuple(sorted(classes, key=_rank)), tuple(passed_over), agents)


def _known(name: str, handler: str) -> tuple[KnownRuntime | None, KnownRuntime | None]:
    """(the sandbox, the ordinary runtime) of a class. A handler that is ordinary makes no class a sandbox's."""
    sandboxes, ordinary = known_runtimes()
    usual = next((each for each in ordinary if each.fits(name, handler)), None)
    if usual and any(fnmatchcase(handler, pattern) for pattern in usual.handlers):
        # A class that is called like a sandbox and has an ordinary handler is tried, and fails.
        called = next((each for each in sandboxes if each.fits(name, "")), None)
        return called, None if called else usual
    sandbox = next((each for each in sandboxes if each.fits(name, handler)), None)
    return sandbox, None if sandbox else usual


def _rank(found: SandboxClass) -> tuple[bool, bool, bool, int, str]:
    known = known_runtimes()[0]
    order = known.index(found.known) if found.known else len(known)
    return not found.template, found.known is None, bool(found.known and found.known.last), order, found.name


async def agent_sandbox(platform: Platform) -> AgentSandbox:
    """What the platform has of agent-sandbox."""
    groups = await platform.groups()
    core, extensions = _served(groups.get(AGENTS, ())), _served(groups.get(EXTENSIONS, ()))
    core = f"{AGENTS}/{core}" if core else ""
    extensions = f"{EXTENSIONS}/{extensions}" if extensions else ""
    problems = [
        f"{group} is served as {', '.join(groups[group])} only; this suite knows {', '.join(AGENT_VERSIONS)}"
        for group, known in ((AGENTS, core), (EXTENSIONS, extensions))
        if group in groups and not known
    ]
    templates: list[tuple[str, str]] = []
    if extensions:
        try:
            async for each in platform.cluster.list(extensions, "SandboxTemplate"):
                pod = ((each.get("spec") or {}).get("podTemplate") or {}).get("spec") or {}
                if runtime := pod.get("runtimeClassName"):
                    about = each["metadata"]
                    templates.append((f"{about.get('namespace')}/{about['name']}", runtime))
        except NotFound:
            pass
        except Forbidden as error:
            problems.append(f"its templates are not read: {error}")
    return AgentSandbox(core, extensions, tuple(templates), "; ".join(problems))


def _served(versions: Sequence[str]) -> str:
    return next((each for each in AGENT_VERSIONS if each in versions), "")
