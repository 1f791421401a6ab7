"""Traits of pulls: a registry of the lab's own images that fails at first, is slow, or asks who pulls."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.traits.trait import LABEL, InNamespaces, InRegistry, Trait

if TYPE_CHECKING:
    from aiconform.cluster import Object

FLAKY, SLOW, PRIVATE = "registry-flaky", "registry-slow", "registry-private"
FAILURES = 2
"""How many pulls of an image fail on each node while the registry is flaky."""
SLOW_SECONDS = 15.0
"""How long a slow registry takes until it sends a part of an image."""
TOKEN = base64.b64encode(b"lab:pull").decode()
"""User and password that a private registry asks for, as HTTP's Basic scheme has them."""


def _pull_secret(namespace: str, registry: str) -> Sequence[Object]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": PRIVATE, "namespace": namespace, "labels": {LABEL: PRIVATE}},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps({"auths": {registry: {"auth": TOKEN}}})},
        }
    ]


_USE = "--image-registry ADDRESS/NAME, with the address of `lab status` and a NAME that was not used before"

TRAITS = (
    Trait(
        FLAKY,
        f"The lab's registry fails the first {FAILURES} pulls of an image on each node, and works then. {_USE}.",
        "pass, with a patience of more than half a minute",
        InRegistry(),
    ),
    Trait(
        SLOW,
        f"The lab's registry sends nothing of an image for {SLOW_SECONDS:.0f} s. {_USE}.",
        "pass; with too little patience, error that names the image",
        InRegistry(),
    ),
    Trait(
        PRIVATE,
        f"The lab's registry asks for credentials; every Namespace gets the pull secret {PRIVATE}. {_USE}.",
        "error with the registry's refusal; pass with --pod-template and the pull secret",
        InRegistry(InNamespaces(_pull_secret)),
    ),
)
