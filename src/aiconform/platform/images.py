"""The images of test Pods. A platform without internet access has to mirror them."""

from __future__ import annotations

from dataclasses import dataclass

# Purpose -> public image.
IMAGES = {
    "shell": "registry.k8s.io/e2e-test-images/busybox:1.36.1-1",
}


@dataclass(frozen=True)
class Images:
    """The images, from a mirror if its registry (and path) is given."""

    registry: str = ""

    def __getitem__(self, purpose: str) -> str:
        return self.mirrored(IMAGES[purpose])

    def mirrored(self, public: str) -> str:
        """The name of an image by which this platform pulls it."""
        if not self.registry:
            return public
        return f"{self.registry.rstrip('/')}/{public.partition('/')[2]}"
