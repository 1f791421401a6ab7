"""What is advertised beside what containers find: no cluster, made-up nodes and containers of real vendors' shapes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.driver_runtime_management.observations import (
    Advertised,
    Advertisements,
    Found,
    Installed,
    NodeAdvertisement,
)
from aiconform.engine.evidence import Evidence, Record
from aiconform.engine.verdicts import judge_check
from aiconform.kit.container_view import DeviceNode, View
from aiconform.platform.accelerators.drivers import KERNEL_VERSION, family_of
from aiconform.spec import load_standard

CHECK = load_check("driver_runtime_management")
ADVERTISED = "driver_version_is_advertised"
FROM_DRA = "versions_come_from_dra"
MATCHES = "driver_version_matches"
LIBRARIES = "libraries_match_module"
EXACT = "exact_device_is_injected"
INTEGRATION = "runtime_integration_matches"
DIFFERENCES = "differences_in_pool_are_advertised"

FULL = "nvidia.com/cuda.driver-version.full"


def attribute(value: str, name: str = "driverVersion") -> Advertised:
    return Advertised(place="attribute", name=name, says=value)


def label(value: str, name: str = FULL) -> Advertised:
    return Advertised(place="label", name=name, says=value)


def annotation(value: str, name: str = "acme.example/driver") -> Advertised:
    return Advertised(place="annotation", name=name, says=value)


def node(
    *driver: Advertised, name: str = "n1", profile: str = "NVIDIA GPU", way: str = "device-plugin", **more: Any
) -> NodeAdvertisement:
    family = family_of(profile)
    return NodeAdvertisement.model_validate(
        {
            "node": name,
            "way": way,
            "name": "gpu.nvidia.com" if way == "dra" else "nvidia.com/gpu",
            "product": "H100",
            "simulated": False,
            "profile": profile,
            "published": family.published,
            "driver": driver,
            **more,
        }
    )


def view(*paths: str, environment: dict[str, str] | None = None, mounts: tuple[str, ...] = ()) -> View:
    nodes = [DeviceNode(path=path, number=f"c:195:{index}") for index, path in enumerate(paths)]
    return View(nodes=nodes, environment=environment or {}, mounts=["/", *mounts], release="6.8.0-41-generic")


def module(version: str, path: str = "/sys/module/nvidia/version") -> Found:
    return Found(kind="module", path=path, version=version)


def library(version: str) -> Found:
    return Found(kind="injected", path=f"/usr/lib/x86_64-linux-gnu/libcuda.so.{version}", version=version)


def installed(about: NodeAdvertisement, *found: Found, **fields: Any) -> Installed:
    fields.setdefault("holder", view("/dev/nvidia0", "/dev/nvidiactl"))
    fields.setdefault("control", view())
    return Installed(advertised=about, served_by=about.way, found=found, **fields)


def outcomes(seen: Any, *others: Any) -> dict[str, bool | None]:
    found = findings(CHECK, seen, *others)
    assert all(finding.reason for finding in found.values())
    return {id_: finding.holds for id_, finding in found.items() if finding.applies}


def advertised(*nodes: NodeAdvertisement) -> dict[str, bool | None]:
    return outcomes(Advertisements(nodes=list(nodes)))


VENDORS = {
    "nvidia by dra": installed(
        node(attribute("580.95.5"), way="dra"),
        module("580.95.05"),
        module("580.95.05", "/proc/driver/nvidia/version"),
        library("580.95.05"),
        holder=view("/dev/nvidia0", environment={"NVIDIA_VISIBLE_DEVICES": "void"}),
    ),
    "nvidia by device plugin": installed(
        node(label("550.54.15")),
        module("550.54.15"),
        library("550.54.15"),
        holder=view("/dev/nvidia0", environment={"NVIDIA_VISIBLE_DEVICES": "GPU-4a1"}),
    ),
    "amd by dra": installed(
        node(
            attribute("6.12.12"), attribute("6.12.12-2164967.24.04", "driverVersionFull"), profile="AMD GPU", way="dra"
        ),
        module("6.12.12", "/sys/module/amdgpu/version"),
        holder=view("/dev/dri/card0", "/dev/dri/renderD128", "/dev/kfd"),
    ),
    "amd by the kernel's own driver": installed(
        node(
            Advertised(place="node", name=KERNEL_VERSION, says="6.8.0-41-generic"),
            profile="AMD GPU",
            way="dra",
        ),
        Found(kind="kernel", path="/sys/module/amdgpu", version="6.8.0-41-generic"),
        holder=view("/dev/dri/card0", "/dev/dri/renderD128", "/dev/kfd"),
    ),
    "tpu with a version of vfio-pci": installed(
        node(Advertised(place="node", name=KERNEL_VERSION, says="5.10.0"), profile="Google TPU"),
        module("0.2", "/sys/module/vfio_pci/version"),
        Found(kind="kernel", path="/sys/module/vfio_pci", version="5.10.0"),
        holder=view("/dev/vfio/0", "/dev/vfio/vfio"),
    ),
    "intel": installed(
        node(Advertised(place="node", name=KERNEL_VERSION, says="6.8.0-41-generic"), profile="Intel GPU"),
        Found(kind="kernel", path="/sys/module/xe", version="6.8.0-41-generic"),
        holder=view("/dev/dri/card0", "/dev/dri/renderD128"),
    ),
    "gaudi": installed(
        node(label("1.23.0-695", "habana.ai/driver.version"), profile="Intel Gaudi"),
        module("1.23.0-695", "/sys/module/habanalabs/version"),
        # Its DRA driver sets the variable by CDI as well: it is no trace of a hook.
        holder=view("/dev/accel/accel0", environment={"HABANA_VISIBLE_DEVICES": "0"}),
    ),
    "neuron": installed(
        node(attribute("2.22.2.0"), profile="AWS Neuron device", way="dra"),
        module("2.22.2.0", "/sys/module/neuron/version"),
        holder=view("/dev/neuron0"),
    ),
    "tpu": installed(
        node(Advertised(place="node", name=KERNEL_VERSION, says="6.1.58+"), profile="Google TPU"),
        Found(kind="kernel", path="/sys/module/vfio_pci", version="6.1.58+"),
        holder=view("/dev/vfio/0", "/dev/vfio/1", "/dev/vfio/vfio"),
        asked=2,
    ),
    "ascend": installed(
        node(annotation("24.1.rc3"), profile="Huawei Ascend"),
        Found(kind="injected", path="/usr/local/Ascend/driver/version.info", version="24.1.rc3"),
        holder=view("/dev/davinci0", "/dev/davinci_manager"),
    ),
}


@pytest.mark.parametrize("seen", VENDORS.values(), ids=list(VENDORS))
def test_each_vendors_healthy_node_holds(seen: Installed) -> None:
    found = outcomes(seen)
    assert set(found.values()) == {True}
    assert {MATCHES, EXACT} <= found.keys()
    assert (INTEGRATION in found) is (seen.served_by == "dra"), "nothing else declares it"


# What a container finds


@pytest.mark.parametrize(
    ("told", "version", "right"),
    [
        ("580", "580.65.06", True),
        ("580.65", "580.65.06", True),
        ("580.65", "580.82.07", False),
        ("580.65.6", "580.65.06", True),
        ("550.54.15", "580.65.06", False),
    ],
)
def test_versions_are_compared_at_the_precision_that_both_have(told: str, version: str, right: bool) -> None:
    assert outcomes(installed(node(label(told)), module(version)))[MATCHES] is right


def test_sources_that_contradict_each_other_cannot_all_match() -> None:
    found = findings(CHECK, installed(node(attribute("580.65.6"), label("550.54.15")), module("580.65.06")))
    assert found[MATCHES].holds is False
    assert f"label {FULL}=550.54.15 is advertised" in found[MATCHES].reason
    assert "attribute" not in found[MATCHES].reason


def test_the_module_decides_and_libraries_are_compared_with_it() -> None:
    found = outcomes(installed(node(label("580.65.06")), module("580.65.06"), library("580.82.07")))
    assert (found[MATCHES], found[LIBRARIES]) == (True, False)


def test_without_a_version_of_the_module_the_injected_libraries_decide() -> None:
    found = outcomes(installed(node(label("580.65.06")), library("580.82.07")))
    assert found[MATCHES] is False
    assert LIBRARIES not in found, "there is no module to compare with"


@pytest.mark.parametrize("value", ["default", "unknown", ""])
def test_what_is_no_version_decides_nothing(value: str) -> None:
    assert outcomes(installed(node(label(value)), module("580.65.06")))[MATCHES] is None
    assert outcomes(installed(node(label("580.65.06")), module(value)))[MATCHES] is None


def test_a_container_that_finds_nothing_says_the_way_out() -> None:
    finding = findings(CHECK, installed(node(label("580.65.06"))))[MATCHES]
    assert finding.holds is None
    assert "driver_runtime_management.file=" in finding.reason


def test_the_kernels_version_stands_for_a_driver_without_its_own_alone() -> None:
    kernel = Advertised(place="node", name=KERNEL_VERSION, says="6.8.0-41-generic")
    of_kernel = Found(kind="kernel", path="/sys/module/xe", version="6.8.0-41-generic")
    other = Found(kind="kernel", path="/sys/module/xe", version="6.8.0-45-generic")
    own = module("1.25.2", "/sys/module/xe/version")
    assert outcomes(installed(node(kernel, profile="Intel GPU"), other))[MATCHES] is False
    assert outcomes(installed(node(kernel, profile="Intel GPU"), own))[MATCHES] is False
    assert outcomes(installed(node(attribute("1.25.2"), profile="Intel GPU"), of_kernel))[MATCHES] is None
    backport = module("1.23", "/sys/module/i915/version")
    both = findings(CHECK, installed(node(kernel, profile="Intel GPU"), backport, of_kernel))[MATCHES]
    assert both.holds is None
    assert "driver_runtime_management.version=" in both.reason
    told = node(label("1.23", "acme.example/driver"), profile="Intel GPU")
    assert outcomes(installed(told, backport, of_kernel))[MATCHES] is True
    inside = Found(kind="injected", path="/opt/acme/VERSION", version="1.23.4")
    assert outcomes(installed(told, of_kernel, inside))[MATCHES] is True


def test_a_container_on_a_kernel_of_its_own_does_not_show_the_nodes_driver() -> None:
    kernel = Advertised(place="node", name=KERNEL_VERSION, says="6.8.0-45-generic")
    of_guest = Found(kind="kernel", path="/sys/module/xe", version="6.8.0-41-generic")
    on_node = {"release": "6.8.0-45-generic", "boot": "boot-1"}
    kata = findings(CHECK, installed(node(kernel, profile="Intel GPU"), of_guest, **on_node))[MATCHES]
    assert kata.holds is None
    assert "runtime class" in kata.reason
    gvisor = installed(node(label("580.65.06")), library("580.65.06"), **on_node)
    assert outcomes(gvisor)[MATCHES] is True
    assert outcomes(installed(node(label("550.54.15")), library("580.65.06"), **on_node))[MATCHES] is False


def test_a_pod_that_does_not_start_decides_nothing_of_its_driver() -> None:
    found = outcomes(installed(node(label("580.65.06")), holder=None, control=None, problem="no such device"))
    assert set(found.values()) == {None}


# The device


@pytest.mark.parametrize(
    ("paths", "asked", "right"),
    [
        (["/dev/nvidia0", "/dev/nvidiactl"], 1, True),
        (["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl"], 1, False),
        (["/dev/accel0", "/dev/accel1"], 2, True),
        (["/dev/accel0"], 2, False),
        (["/dev/dri/card0", "/dev/dri/renderD128"], 1, True),
        (["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap66", "/dev/nvidia-caps/nvidia-cap67"], 1, True),
        (["/dev/nvidia0", *(f"/dev/nvidia-caps/nvidia-cap{cap}" for cap in (66, 67, 75, 76))], 1, False),
        (["/dev/nvidia0", "/dev/nvidiactl", *(f"/dev/nvidia-fs{index}" for index in range(16))], 1, True),
        (["/dev/nvidiactl", "/dev/nvidia-uvm"], 1, False),
        (["/dev/accel/accel0", "/dev/accel/accel_controlD0", "/dev/accel/accel_controlD1"], 1, False),
        (["/dev/acme0", "/dev/acme-control"], 1, True),
        (["/dev/acme0", "/dev/acme1"], 1, False),
        (["/dev/davinci0", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc"], 1, True),
        (["/dev/dxg"], 1, True),
        ([], 1, False),
    ],
)
def test_the_devices_in_the_container_are_counted(paths: list[str], asked: int, right: bool) -> None:
    assert outcomes(installed(node(label("1")), holder=view(*paths), asked=asked))[EXACT] is right


def test_with_all_devices_of_a_node_there_is_none_too_many() -> None:
    chips = view(*(f"/dev/vfio/{index}" for index in range(8)))
    assert outcomes(installed(node(label("1")), holder=chips, asked=4, total=4))[EXACT] is True
    only = view("/dev/acme0", "/dev/acme1")
    assert outcomes(installed(node(label("1")), holder=only, total=1))[EXACT] is True


def test_without_device_nodes_nothing_is_counted() -> None:
    seen = installed(node(label("1")), holder=view(environment={"TPU_CHIPS": "0"}))
    assert outcomes(seen)[EXACT] is None


@pytest.mark.parametrize("holder", [("/dev/nvidia0", "/dev/nvidiactl"), ("/dev/nvidia0",)])
def test_what_is_injected_is_not_told_where_everyone_sees_the_devices(holder: tuple[str, ...]) -> None:
    leaked = installed(node(label("1")), holder=view(*holder), control=view("/dev/nvidia0"))
    assert outcomes(leaked)[EXACT] is None


def test_devices_beyond_those_that_everyone_sees_are_counted() -> None:
    leaked = {"holder": view("/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2"), "control": view("/dev/nvidia0")}
    assert outcomes(installed(node(label("1")), **leaked))[EXACT] is False


# The integration


def injected(value: str, *declared: str, way: str = "device-plugin", variable: str = "NVIDIA_VISIBLE_DEVICES") -> Any:
    told = tuple(label(each, "acme.example/integration") for each in declared)
    holder = view("/dev/nvidia0", environment={variable: value} if value else {})
    return outcomes(installed(node(label("1"), way=way, integration=told), holder=holder))[INTEGRATION]


def test_the_declared_integration_is_held_against_its_traces() -> None:
    assert injected("void", "cdi") is True
    assert injected("GPU-4a1", "hook") is True
    assert injected("GPU-4a1", "cdi") is False
    assert injected("void", "hook") is False
    assert injected("void", "cdi", "hook") is False, "two that are declared cannot both be right"


def test_a_claims_device_comes_by_cdi_whatever_is_declared() -> None:
    assert injected("", way="dra") is True
    assert injected("void", way="dra") is True
    assert injected("", "hook", way="dra") is False
    assert injected("GPU-4a1", way="dra") is None, "CDI can set the variable, and a hook can read it"
    assert injected("GPU-4a1", "cdi", way="dra") is None


def test_where_nothing_declares_a_device_plugins_integration_there_is_nothing_to_compare() -> None:
    for value, name in {"": "NAME", "GPU-4a1": "hook", "void": "cdi"}.items():
        holder = view("/dev/nvidia0", environment={"NVIDIA_VISIBLE_DEVICES": value} if value else {})
        finding = findings(CHECK, installed(node(label("1")), holder=holder))[INTEGRATION]
        assert not finding.applies
        assert finding.reason.endswith(f"driver_runtime_management.integration={name}")


def test_where_nothing_in_the_container_tells_nothing_is_decided() -> None:
    assert injected("", "device-plugin") is True, "a hook and CDI would have left traces"
    assert injected("", "cdi") is None
    amd = node(label("6.12.12"), profile="AMD GPU", integration=(label("device-plugin", "acme.example/integration"),))
    assert outcomes(installed(amd, holder=view("/dev/dri/renderD128", "/dev/kfd")))[INTEGRATION] is None


def test_an_integration_that_nobody_knows_decides_nothing() -> None:
    assert injected("void", "toolkit-1.17") is None
    nothing = installed(node(label("1")), holder=view())
    assert outcomes(nothing)[INTEGRATION] is None


def test_variables_that_every_container_has_are_no_traces() -> None:
    everywhere = {"NVIDIA_VISIBLE_DEVICES": "all"}
    seen = installed(
        node(label("1"), way="dra"),
        holder=view("/dev/nvidia0", environment=everywhere),
        control=view(environment=everywhere),
    )
    assert outcomes(seen)[INTEGRATION] is True


# What is advertised


def test_every_node_advertises_in_one_way() -> None:
    assert advertised(node(label("580.65.06")), node(label("550.54.15"), name="n2"))[ADVERTISED] is True
    both = [node(attribute("580.65.6"), label("580.65.06"), way="dra"), node(label("1"), name="n2", way="dra")]
    assert advertised(*both) == {ADVERTISED: True, FROM_DRA: False}
    other = node(label("550.54", "acme.example/driver"), name="n3")
    assert advertised(node(label("580")), node(label("580"), name="n2"), other)[ADVERTISED] is False


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_ways_that_are_as_common_attributes_are_told(turned: bool) -> None:
    told = [attribute("580.65.6"), label("580.65.06")]
    seen = Advertisements(nodes=[node(*(reversed(told) if turned else told), way="dra")])
    finding = findings(CHECK, seen)[ADVERTISED]
    assert finding.reason == "by attribute driverVersion on 1 node(s)"


def test_one_silent_node_is_named_and_no_other() -> None:
    nodes = [node(label("580.65.06")), node(name="n2"), node(label("580.65.06"), name="n3")]
    finding = findings(CHECK, Advertisements(nodes=nodes))[ADVERTISED]
    assert finding.holds is False
    assert "on n2: no version" in finding.reason
    assert "n1" not in finding.reason
    assert "n3" not in finding.reason


@pytest.mark.parametrize("word", ["default", "latest"])
def test_a_word_that_is_no_version_decides_nothing_alone(word: str) -> None:
    gke = node(label(word, "cloud.google.com/gke-gpu-driver-version"))
    finding = findings(CHECK, Advertisements(nodes=[gke]))[ADVERTISED]
    assert finding.holds is None
    assert f"gke-gpu-driver-version={word} is no version" in finding.reason
    assert "driver_runtime_management.version=" in finding.reason
    told = node(label("580.65.06"), name="n2")
    assert advertised(gke, told)[ADVERTISED] is False


@pytest.mark.parametrize("profile", ["", "Huawei Ascend", "NVIDIA GPU"])
def test_a_platform_that_is_silent_may_say_it_elsewhere(profile: str) -> None:
    finding = findings(CHECK, Advertisements(nodes=[node(profile=profile), node(profile=profile, name="n2")]))
    assert finding[ADVERTISED].holds is None
    assert "driver_runtime_management.version=" in finding[ADVERTISED].reason


def test_a_dra_driver_that_publishes_it_is_not_silent() -> None:
    assert advertised(node(way="dra"))[ADVERTISED] is False
    assert advertised(node(way="dra", profile="Huawei Ascend"))[ADVERTISED] is None


def test_one_node_of_a_kind_that_tells_breaks_the_silence_of_others() -> None:
    ascend = node(profile="Huawei Ascend")
    one_tells = [ascend, node(annotation("24.1"), name="n2", profile="Huawei Ascend")]
    assert advertised(*one_tells)[ADVERTISED] is False


def test_versions_come_from_dra_where_the_driver_publishes_them() -> None:
    published = node(attribute("580.65.6"), way="dra")
    labelled = node(label("580.65.06"), name="n2", way="dra")
    assert advertised(published)[FROM_DRA] is True
    assert advertised(labelled)[FROM_DRA] is False, "NVIDIA's driver publishes it"
    assert FROM_DRA not in advertised(node(label("580.65.06")))
    of_kernel = node(Advertised(place="node", name=KERNEL_VERSION, says="6.8.0"), way="dra", profile="AMD GPU")
    assert FROM_DRA not in advertised(of_kernel), "the kernel's own driver has no version to publish"
    unknown = node(label("3.1"), way="dra", profile="", name="n3")
    assert FROM_DRA not in advertised(unknown), "a driver that publishes none has nothing to come from"


# Nodes of one kind


def of(name: str, told: Advertised | None, version: str) -> Installed:
    return installed(node(*([told] if told else []), name=name), module(version))


@pytest.mark.parametrize(
    ("nodes", "right"),
    [
        ([of("n1", label("580.65.06"), "580.65.06"), of("n2", label("580.65.06"), "580.65.06")], True),
        ([of("n1", label("580.65.06"), "580.65.06"), of("n2", label("550.54.15"), "550.54.15")], True),
        ([of("n1", label("580"), "580.65.06"), of("n2", label("580"), "580.82.07")], False),
        ([of("n1", label("580.65.06"), "580.65.06"), of("n2", label("580"), "580.82.07")], False),
        ([of("n1", label("580.65.06"), "580.65.06"), of("n2", label("580.65.06"), "580.82.07")], False),
        ([of("n1", label("580.65.06"), "580.65.06"), of("n2", None, "580.82.07")], False),
        ([of("n1", annotation("580.65.06"), "580.65.06"), of("n2", annotation("580.82.07"), "580.82.07")], False),
    ],
)
def test_nodes_that_differ_are_told_apart_by_what_can_be_selected(nodes: list[Installed], right: bool) -> None:
    assert outcomes(*nodes)[DIFFERENCES] is right
    assert outcomes(*reversed(nodes))[DIFFERENCES] is right


@pytest.mark.parametrize(("words", "right"), [(("default", "latest"), True), (("default", "default"), False)])
def test_labels_that_are_no_version_tell_nodes_apart_if_they_differ(words: tuple[str, str], right: bool) -> None:
    nodes = [
        installed(
            node(
                label(word, "cloud.google.com/gke-gpu-driver-version"),
                annotation(version, "cloud.google.com/cuda.driver-version.full"),
                name=version,
            ),
            module(version),
        )
        for word, version in zip(words, ("535.183.01", "550.90.07"), strict=True)
    ]
    assert outcomes(*nodes)[DIFFERENCES] is right
    assert {outcomes(each)[MATCHES] for each in nodes} == {True}


def test_the_node_that_hides_its_version_is_named_and_no_other() -> None:
    nodes = [of(f"n{index}", label("580.65.06"), "580.65.06") for index in range(3)]
    finding = findings(CHECK, *nodes, of("odd", label("580"), "580.82.07"))[DIFFERENCES]
    assert "odd has 580.82.07 and advertises" in finding.reason
    assert not {"n0", "n1", "n2"} & set(finding.reason.replace(";", " ").split())


def test_one_node_of_a_kind_has_none_to_be_compared_with() -> None:
    other_kind = installed(node(attribute("1.2.3"), way="dra", name="n2"), module("1.2.3"))
    assert DIFFERENCES not in outcomes(of("n1", label("580"), "580.65.06"), other_kind)
    no_version = installed(node(label("580"), name="n2"))
    assert DIFFERENCES not in outcomes(of("n1", label("580"), "580.65.06"), no_version)


VERSIONS = st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 2)).map(lambda each: ".".join(map(str, each)))


@given(st.lists(VERSIONS, min_size=1, max_size=6), st.integers(1, 3))
def test_nodes_that_advertise_what_they_have_are_right_if_that_is_precise_enough(has: list[str], parts: int) -> None:
    seen = []
    for index, version in enumerate(has):
        told = ".".join(version.split(".")[:parts])
        seen.append(of(f"n{index}", label(told), version))
    assert {outcomes(each)[MATCHES] for each in seen} == {True}
    told_apart = len({each.advertised.driver for each in seen}) == len(set(has))
    if len(has) > 1:
        assert outcomes(*seen)[DIFFERENCES] is told_apart


# The verdict


def verdict(version: str, *seen: Installed) -> tuple[str, str]:
    """(level, verdict) of a run that saw these nodes."""
    every = [Advertisements(nodes=[each.advertised for each in seen]), *seen]
    records = tuple(
        Record(
            probe="installed" if isinstance(each, Installed) else "advertising",
            target="here",
            outcome="seen",
            message="",
            observes=type(each).__name__,
            observation=each.model_dump(mode="json"),
            seconds=0,
            requests=0,
        )
        for each in every
    )
    evidence = Evidence(check=CHECK.id, suite="", seconds=0, requests=0, records=records)
    result = judge_check(load_standard().requirement(CHECK.id), version, CHECK, evidence)
    return result.level, result.verdict


def test_as_a_must_it_is_kept_by_exact_devices_and_libraries_that_fit() -> None:
    told = node(label("580.65.06"), integration=(label("hook", "acme.example/integration"),))
    fits = {"holder": view("/dev/nvidia0", environment={"NVIDIA_VISIBLE_DEVICES": "GPU-4a1"})}
    assert verdict("v1.37", installed(told, module("580.65.06"), **fits)) == ("SHOULD", "pass")
    assert verdict("v1.38", installed(told, module("580.65.06"), **fits)) == ("MUST", "pass")
    all_of_them = {"holder": view("/dev/nvidia0", "/dev/nvidia1", environment={"NVIDIA_VISIBLE_DEVICES": "all"})}
    assert verdict("v1.38", installed(told, module("580.65.06"), **all_of_them)) == ("MUST", "fail")
    other = installed(told, module("580.65.06"), library("580.82.07"), **fits)
    assert verdict("v1.38", other) == ("MUST", "fail")
    assert verdict("v1.38", installed(node(), module("580.65.06"), **fits)) == ("MUST", "error"), "nobody knows"
