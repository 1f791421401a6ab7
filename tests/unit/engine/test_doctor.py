"""The rules by which `doctor` calls a point fine, undecided or in the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import served

from aiconform.check import Access, Check, Options, Probe, Settings, option
from aiconform.cluster import Stuck
from aiconform.cluster.refusals import refusal
from aiconform.engine.doctor.images import needed
from aiconform.engine.doctor.nodes import OLDEST, skewed
from aiconform.engine.doctor.points import Point, State, exit_code, refused
from aiconform.engine.doctor.quotas import least, shortages
from aiconform.engine.doctor.trial import past_pulling, pulling_problems
from aiconform.engine.preview import Attempt, Place, Preview
from aiconform.platform import Accelerators, NodeAccelerators
from aiconform.platform.images import Images, registry, whole_name

STATES: tuple[State, ...] = ("fine", "undecided", "in-the-way")
points = st.lists(
    st.builds(
        Point,
        id=st.just("p"),
        state=st.sampled_from(STATES),
        found=st.just(()),
        counts=st.booleans(),
        begins=st.booleans(),
    )
)


# Exit codes


@given(points)
def test_no_point_ends_with_the_code_of_a_verdict(some: list[Point]) -> None:
    code = exit_code(some)
    assert code in (0, 2, 3)
    assert (code == 2) == any(each.state == "in-the-way" and not each.begins for each in some)
    if code == 0:
        assert all(each.state == "fine" for each in some if each.counts)
    if code == 3:
        assert any(each.state != "fine" for each in some if each.counts)


# Refusals


@pytest.mark.parametrize(
    ("code", "said", "state"),
    [
        (403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest": hostNetwork', "in-the-way"),
        (403, 'namespaces is forbidden: User "ann" cannot create resource "namespaces"', "in-the-way"),
        (422, 'Namespace "a" is invalid: metadata.labels: Invalid value', "in-the-way"),
        (400, 'admission webhook "a" denied the request: no', "in-the-way"),
        (400, 'admission webhook "a.test" does not support dry run', "undecided"),
        (403, 'admission webhook "a" denied the request: Namespace "x" not found', "undecided"),
        (405, "the server does not allow this method on the requested resource", "undecided"),
        (500, 'failed calling webhook "a": timeout', "undecided"),
        (429, "too many requests", "undecided"),
        (401, "Unauthorized", "undecided"),
    ],
)
def test_only_what_was_refused_is_in_the_way(code: int, said: str, state: State) -> None:
    assert refused(refusal(code, {"message": said}, "create", "pods")) == state


# Kubelets


@given(st.integers(28, 60), st.integers(20, 70))
def test_a_kubelet_is_supported_up_to_three_versions_behind(server: int, kubelet: int) -> None:
    node = served.node()
    node["status"]["nodeInfo"] = {"kubeletVersion": f"v1.{kubelet}.1-vendor.3"}
    supported = server - OLDEST <= kubelet <= server
    assert (skewed(f"v1.{server}.0", [node]) == ()) == supported


def test_a_version_that_is_none_is_not_compared() -> None:
    odd = served.node()
    odd["status"]["nodeInfo"] = {"kubeletVersion": "custom"}
    assert skewed("v1.37.0", [odd, served.node()]) == skewed("main", [odd]) == ()


# Images

part = st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True)
names = st.builds(
    lambda host, path, tag: host + "/".join(path) + tag,
    st.sampled_from(["", "registry.test/", "localhost/", "registry.test:5000/", "[fd00::1]:5000/"]),
    st.lists(part, min_size=1, max_size=3),
    st.sampled_from(["", ":1.0", "@sha256:00", ":1.0@sha256:00"]),
)


@given(names)
def test_a_whole_name_has_a_registry_and_is_its_own_whole_name(name: str) -> None:
    whole = whole_name(name)
    assert whole_name(whole) == whole
    assert whole.startswith(f"{registry(name)}/")
    assert whole.endswith("@sha256:00") == ("@" in name)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("acme/burn:2", "docker.io/acme/burn:2"),
        ("registry.test:5000/a/b", "registry.test:5000/a/b:latest"),
        ("registry.test/a:1@sha256:00", "registry.test/a@sha256:00"),
    ],
)
def test_a_name_is_completed_as_runtimes_do(name: str, whole: str) -> None:
    assert whole_name(name) == whole


class WithImage(Options):
    load_image: str = option("", "An image.")
    imagery: str = option("", "No image.")


def check(id_: str, *verbs: str, **fields: Any) -> Check:
    access = (Access("", "pods", verbs),)
    probe = Probe("look", None, None, None, 1.0, (0, 0), "restricted", access)  # type: ignore[arg-type]
    return Check(id_, (probe,), (), **fields)


def test_images_are_those_of_who_makes_pods() -> None:
    checks = [
        check("reads", "list"),
        check("makes", "create"),
        check("other", "create", images=("acme.test/check:1",)),
        check("loads", "create", options=WithImage),
    ]
    settings = Settings(options=(WithImage(load_image="acme/burn:2", imagery="acme/none"),))
    images = Images("mirror.test")
    assert needed(checks, settings, images) == {
        images["shell"]: ("makes", "loads"),
        "mirror.test/check:1": ("other",),
        "acme/burn:2": ("loads",),
    }


def test_each_image_that_cannot_be_pulled_is_named_once() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}
    statuses = [
        {"name": "a", "image": "x.test/a:1", "state": waiting},
        {"name": "b", "image": "x.test/a:1", "state": waiting},
        {"name": "c", "image": "x.test/c:1", "state": {"running": {}}},
        {"name": "d", "image": "x.test/d:1", "state": {"waiting": {"reason": "ContainerCreating"}}},
        {"name": "e", "image": "X", "state": {"waiting": {"reason": "InvalidImageName"}}},
    ]
    found = list(pulling_problems({"status": {"containerStatuses": statuses}}))
    assert found == ["x.test/a:1: ImagePullBackOff: no such host", "X: InvalidImageName"]


def containers(*states: dict[str, Any], phase: str = "Pending") -> dict[str, Any]:
    statuses = [
        {"name": f"c{number}", "image": f"x.test/{number}:1", "state": state} for number, state in enumerate(states)
    ]
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": statuses}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("seen", "past"),
    [
        (containers(), False),
        (containers({"running": {}}, phase="Running"), True),
        (containers({"running": {}}, waits("ContainerCreating")), False),
        (containers({"terminated": {"reason": "StartError"}}, phase="Failed"), True),
        (containers(waits("RunContainerError")), True),
        (containers(waits("CreateContainerError"), waits("ContainerCreating")), False),
        (containers(waits("ErrImagePull", "i/o timeout")), False),
    ],
)
def test_images_are_there_whether_or_not_their_containers_start(seen: dict[str, Any], past: bool) -> None:
    assert (past_pulling(seen) is seen) == past


def test_what_no_repetition_mends_is_not_waited_for() -> None:
    with pytest.raises(Stuck, match="manifest unknown"):
        past_pulling(containers(waits("ErrImagePull", "manifest unknown")))


# Quotas


def planned(*places: Place) -> Preview:
    attempt = Attempt("look", "n1", sum(each.devices for each in places), 1.0, places)
    return Preview("some_check", "MUST", "can run", (attempt,))


def test_devices_are_asked_of_a_quota_by_the_name_that_it_has_for_them() -> None:
    dra = NodeAccelerators("dra", "n1", "gpu.test", "T1", 4, 4, device_class="gpus")
    plugin = NodeAccelerators("device-plugin", "n1", "acme.test/npu", "", 4, 4)
    previews = [
        planned(Place("n1", "gpu.test", 2)),
        planned(Place("n1", "acme.test/npu", 1), Place("n2", "acme.test/npu", 2)),
    ]
    asked = {key: amount for key, (amount, _) in least(previews, Accelerators((dra, plugin), ()))}
    assert asked == {
        "pods": 1,
        "count/pods": 1,
        "count/resourceclaims.resource.k8s.io": 1,
        "gpus.deviceclass.resource.k8s.io/devices": 2,
        "requests.acme.test/npu": 3,
    }


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_quota_is_short_where_less_is_left_than_one_probe_asks_for(hard: int, used: int, amount: int) -> None:
    status = {"hard": {"requests.a/b": str(hard)}, "used": {"requests.a/b": str(used)}}
    found = list(
        shortages({"metadata": {"name": "q"}, "status": status}, {"requests.a/b": (amount, "who"), "pods": (1, "")})
    )
    assert bool(found) == (hard - used < amount)
