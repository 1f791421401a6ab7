"""The images that test Pods run, in one map: what a platform without a way to the internet has to mirror."""

from __future__ import annotations

from dataclasses import dataclass

# What each image is for -> its public name.
IMAGES = {
    "shell": "registry.k8s.io/e2e-test-images/busybox:1.36.1-1",
}


@dataclass(frozen=True)
class Images:
    """The map, with the registry (and path) of a mirror in place of each image's own registry if one is given."""

    registry: str = ""

    def __getitem__(self, purpose: str) -> str:
        return self.mirrored(IMAGES[purpose])

    def mirrored(self, public: str) -> str:
        """The name of an image by which this platform pulls it."""
        if not self.registry:
            return public
        return f"{self.registry.rstrip('/')}/{public.partition('/')[2]}"
