"""Pods decline sidecars, and those that they get all the same are told."""

from __future__ import annotations

from aiconform.kit.meshes import NO_SIDECAR_ANNOTATIONS, NO_SIDECAR_LABELS, advice, injected, without_sidecar


def test_a_pod_declines_the_sidecars_of_meshes_and_keeps_what_it_says_itself() -> None:
    said = {"name": "p", "labels": {"own": "1", "sidecar.istio.io/inject": "true"}}
    metadata = without_sidecar({"metadata": said, "spec": {}})["metadata"]
    assert metadata["labels"] == NO_SIDECAR_LABELS | {"own": "1", "sidecar.istio.io/inject": "true"}
    assert metadata["annotations"] == NO_SIDECAR_ANNOTATIONS
    assert said == {"name": "p", "labels": {"own": "1", "sidecar.istio.io/inject": "true"}}


def test_a_container_that_is_not_the_check_s_was_put_there() -> None:
    pod = {"spec": {"containers": [{"name": "worker"}, {"name": "proxy"}], "initContainers": [{"name": "init"}]}}
    assert injected(pod, {"worker"}) == ["init", "proxy"]
    assert injected({"spec": {"containers": [{"name": "worker"}]}}, {"worker"}) == []
    assert "init, proxy is not the check's" in advice(["proxy", "init"])
