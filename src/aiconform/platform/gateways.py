"""A platform's Gateway API: its version, its GatewayClasses, and which of them to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from aiconform.cluster import ClusterError, NotFound, Object, conditions
from aiconform.platform.inventory import Platform
from aiconform.spec import yamlfile

GROUP = "gateway.networking.k8s.io"
# The newest first; both have all fields that checks use.
VERSIONS = ("v1", "v1beta1")
HTTP_PORT = 80
# OpenShift's own class: https://docs.redhat.com/en/documentation/openshift_container_platform/
_DEFAULTS = ("default", "openshift-default")
# Of what an implementation deploys for a Gateway: https://gateway-api.sigs.k8s.io/geps/gep-1762/
OF_GATEWAY = f"{GROUP}/gateway-name"


class ClassFacts(BaseModel):
    """What is known of a kind of GatewayClass; the fields are explained at the top of gateway_classes.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    controller: str = ""
    name: str = "*"
    left_out: str = ""
    last: str = ""
    needs: str = ""
    service: str = "ClusterIP"
    address: str = ""
    port: int = 0
    annotations: str = ""
    source: str = ""


@dataclass(frozen=True)
class GatewayClass:
    """A GatewayClass. `accepted` is None until its controller decides; `says` is the condition in words."""

    name: str
    controller: str
    accepted: bool | None
    says: str
    gateways: int = 0
    """How many programmed Gateways of the platform use it."""
    default: bool = False
    """The platform marks it as its default."""
    facts: ClassFacts = field(default_factory=ClassFacts)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Those that a Gateway of it needs, as the user gave them or as another Gateway of the platform has them."""

    @property
    def lacks(self) -> str:
        """What its Gateways need and nothing shows; empty if nothing."""
        return f"annotations {self.facts.annotations}" if self.facts.annotations and not self.annotations else ""

    @property
    def named_default(self) -> bool:
        """Whether its name says that it is the default, where the platform marks none."""
        return self.name in _DEFAULTS

    @property
    def last(self) -> str:
        """Why it is chosen only if there is no other; empty if it is like others, as with a Gateway that works."""
        unmet = f"it needs {self.facts.needs}" if self.facts.needs and not self.gateways else ""
        return self.facts.last or unmet


# The best first: accepted, undecided, rejected.
_PREFERENCE: dict[bool | None, int] = {True: 0, None: 1, False: 2}


class NoGatewayClass(LookupError):
    """There is none to use; the text says which were examined."""


async def served(platform: Platform) -> str | None:
    """The newest known version of the Gateway API that is served, as an apiVersion, or None."""
    versions = (await platform.groups()).get(GROUP, ())
    return next((f"{GROUP}/{version}" for version in VERSIONS if version in versions), None)


async def unserved(platform: Platform) -> str:
    """Why no known version of the Gateway API is served, in words."""
    if others := (await platform.groups()).get(GROUP, ()):
        return (
            f"the Gateway API ({GROUP}) is served as {', '.join(others)} only; this suite knows {', '.join(VERSIONS)}"
        )
    return f"the Gateway API ({GROUP}) is not served"


async def release(platform: Platform) -> str:
    """The release and channel of the installed CRDs; empty if these credentials cannot read them."""
    try:
        name = f"httproutes.{GROUP}"
        found = await platform.cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
    except ClusterError:
        return ""
    annotations = found["metadata"].get("annotations") or {}
    words = (annotations.get(f"{GROUP}/bundle-version", ""), annotations.get(f"{GROUP}/channel", ""))
    return " ".join(word for word in words if word)


async def classes(platform: Platform, api_version: str) -> list[Object]:
    """The GatewayClass objects; empty if the kind is not served."""
    try:
        return [entry async for entry in platform.cluster.list(api_version, "GatewayClass")]
    except NotFound:
        return []


async def programmed_gateways(platform: Platform, api_version: str) -> list[Object]:
    """The platform's Gateways that are programmed."""
    found = platform.cluster.list(api_version, "Gateway")
    return [gateway async for gateway in found if condition(gateway, "Programmed")[0]]


def port_of(class_name: str, gateways: Iterable[Object], usual: int = HTTP_PORT) -> int:
    """The port on which most of these Gateways of the class listen for HTTP: some implementations serve one only.

    usual: that of an implementation of which there is no Gateway yet.
    """
    ports = Counter(
        int(listener["port"])
        for gateway in gateways
        if gateway["spec"]["gatewayClassName"] == class_name
        for listener in gateway["spec"].get("listeners") or []
        if listener.get("protocol") == "HTTP"
    )
    return min(ports, key=lambda port: (-ports[port], port != HTTP_PORT, port), default=usual)


def condition(obj: Object, kind: str) -> tuple[bool | None, str]:
    """(whether the condition is True, the condition in words); None if undecided for this generation of the object."""
    return _decided(obj, obj.get("status"), kind)


def parent_condition(route: Object, kind: str) -> tuple[bool | None, str]:
    """The same for a route with one parent, whose entry has the conditions."""
    for parent in (route.get("status") or {}).get("parents") or []:
        decided, words = _decided(route, parent, kind)
        if words:
            return decided, words
    return None, ""


def _decided(obj: Object, status: Object | None, kind: str) -> tuple[bool | None, str]:
    for entry in conditions.read(status):
        if entry.type == kind:
            words = f"{kind} is {entry.status}: {entry.words}".strip(": ")
            return entry.decided(obj["metadata"].get("generation", 0)), words
    return None, ""


def read_class(
    obj: Object, gateways: Sequence[Object], given: Mapping[str, str] = MappingProxyType({})
) -> GatewayClass:
    """gateways: the platform's programmed Gateways. given: annotations that the user wants for a Gateway."""
    metadata, controller = obj["metadata"], obj["spec"]["controllerName"]
    accepted, says = condition(obj, "Accepted")
    annotations = metadata.get("annotations") or {}
    marked = any(key.endswith("/is-default-class") and value == "true" for key, value in annotations.items())
    facts = next(
        (
            each
            for each in _known()
            if fnmatchcase(controller, each.controller) and fnmatchcase(metadata["name"], each.name)
        ),
        ClassFacts(),
    )
    # A class that lists its features lists HTTPRoute if it serves them (GEP-2162); older releases list mere names.
    features = [
        each["name"] if isinstance(each, dict) else each
        for each in (obj.get("status") or {}).get("supportedFeatures") or []
    ]
    if features and "HTTPRoute" not in features and not facts.left_out:
        facts = facts.model_copy(update={"left_out": "other routes: its supported features lack HTTPRoute"})
    of_class = [gateway for gateway in gateways if gateway["spec"]["gatewayClassName"] == metadata["name"]]
    return GatewayClass(
        metadata["name"],
        controller,
        accepted,
        says or "no condition Accepted",
        len(of_class),
        marked,
        facts,
        _needed(facts.annotations, [given, *(each["metadata"].get("annotations") or {} for each in of_class)]),
    )


def _needed(pattern: str, sources: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The annotations that fit the pattern, of the first source that has any."""
    found = ({key: value for key, value in source.items() if fnmatchcase(key, pattern)} for source in sources)
    return next(filter(None, found), {})


@cache
def _known() -> tuple[ClassFacts, ...]:
    name = "gateway_classes.yaml"
    content = yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data
    return tuple(map(ClassFacts.model_validate, content["classes"]))


def candidates(found: Sequence[GatewayClass], wanted: str, option: str) -> list[GatewayClass]:
    """The classes to use, the best first. `wanted` names one, or is empty; `option` is how a user names one.

    Accepted ones go first, then those whose Gateways lack nothing, those that work in a single cluster without more,
    the platform's default (marked, else by its name), those that most Gateways use. Raises NoGatewayClass.
    """
    names = ", ".join(each.name for each in found)
    if wanted:
        named = [each for each in found if each.name == wanted]
        if not named:
            raise NoGatewayClass(f"there is no GatewayClass {wanted} ({option}); there is {names or 'none'}")
        return named
    offered = [each for each in found if not each.facts.left_out]
    if not offered:
        raise NoGatewayClass(f"no GatewayClass for requests from outside ({_aside(found) or 'there is none at all'})")
    return sorted(
        offered,
        key=lambda each: (
            _PREFERENCE[each.accepted],
            bool(each.lacks),
            bool(each.last),
            not each.default,
            not each.named_default,
            -each.gateways,
            each.name,
        ),
    )


def choose(found: Sequence[GatewayClass], wanted: str, option: str) -> tuple[GatewayClass, str]:
    """(the first of the candidates, why). Raises NoGatewayClass."""
    best, *others = candidates(found, wanted, option)
    if wanted:
        return best, f"named by {option}"
    names = ", ".join(each.name for each in found if not each.facts.left_out)
    aside = _aside(found)
    if not others:
        return best, "the only one" + (f" ({aside})" if aside else "")
    if best.accepted is True and not any(each.accepted for each in others):
        return best, f"the only accepted one of {names}"
    alike = [each for each in others if each.accepted is best.accepted]
    if alike and not _needs_more(best) and all(map(_needs_more, alike)):
        return best, f"of {names} the one that needs nothing more; {option}=NAME chooses another"
    if best.default or best.named_default:
        return best, f"of {names} the platform's default; {option}=NAME chooses another"
    if best.gateways:
        return best, f"of {names} most Gateways here use it ({best.gateways}); {option}=NAME chooses another"
    return best, f"the first by name of {names}; {option}=NAME chooses another"


def _needs_more(found: GatewayClass) -> bool:
    return bool(found.lacks or found.last)


def _aside(found: Iterable[GatewayClass]) -> str:
    return "; ".join(f"{each.name} is for {each.facts.left_out}" for each in found if each.facts.left_out)
