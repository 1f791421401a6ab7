"""Reading the objects of an add-on's own manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiconform.lab.addons import manifests

MANIFESTS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          description: A thing.
          properties:
            description: {type: string, description: What it is.}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {description: kept}}
"""


def test_definitions_have_no_descriptions_and_other_objects_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "manifests.yaml"
    file.write_text(MANIFESTS)
    first = manifests.read(file)
    definition, one = first
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    # A property can be called description, too.
    assert schema == {"properties": {"description": {"type": "string"}}}
    assert one["data"] == {"description": "kept"}
    assert manifests.read(file) == first


def test_another_content_is_read_anew_and_a_broken_cache_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "manifests.yaml"
    file.write_text(MANIFESTS)
    before = manifests.read(file)
    for kept in (tmp_path / "cache" / "aiconform" / "manifests").iterdir():
        kept.write_text("[")
    assert manifests.read(file) == before
    file.write_text(MANIFESTS.replace("name: one", "name: two"))
    assert manifests.read(file)[1]["metadata"]["name"] == "two"
