"""The images of test Pods. A platform without internet access has to mirror them."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Purpose -> public image: an index over several architectures, amd64 and arm64 at least.
IMAGES = {
    "shell": "registry.k8s.io/e2e-test-images/busybox:1.36.1-1",
}
# Purpose -> digest of that index.
# https://github.com/kubernetes/kubernetes/blob/master/test/e2e_node/image_list.go
DIGESTS = {
    "shell": "sha256:a9155b13325b2abef48e71de77bb8ac015412a566829f621d06bfae5c699b1b9",
}
_REGISTRY = re.compile(r"[^/]*[.:][^/]*|localhost")


@dataclass(frozen=True)
class Images:
    """The images, from a mirror if its registry (and path) is given.

    digests: those of the suite are named by their digests, too.
    """

    registry: str = ""
    digests: bool = False

    def __getitem__(self, purpose: str) -> str:
        name = IMAGES[purpose]
        return self.mirrored(f"{name}@{DIGESTS[purpose]}" if self.digests else name)

    def mirrored(self, public: str) -> str:
        """The name of an image by which this platform pulls it; a name without a registry is one of Docker Hub."""
        if not self.registry:
            return public
        first, slash, rest = public.partition("/")
        path = rest if slash and _REGISTRY.fullmatch(first) else public
        return f"{self.registry.rstrip('/')}/{path}"


def whole_name(name: str) -> str:
    """An image's name with its registry, and with its digest, or else its tag.

    Without a registry it is of Docker Hub, and without a tag it is `latest`.
    https://github.com/distribution/reference
    """
    name, at, digest = name.partition("@")
    first, slash, rest = name.partition("/")
    if not (slash and _REGISTRY.fullmatch(first)):
        first, rest = "docker.io", name if slash else f"library/{name}"
    path, _, tag = rest.partition(":")
    return f"{first}/{path}@{digest}" if at else f"{first}/{path}:{tag or 'latest'}"


def registry(name: str) -> str:
    """Where an image is pulled from."""
    return whole_name(name).partition("/")[0]
