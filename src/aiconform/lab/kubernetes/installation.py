"""The binaries and images of a lab's nodes, recorded in its state folder for nodes that are added later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from aiconform.lab.build.assets import Assets
from aiconform.lab.config import LabError, Paths
from aiconform.lab.machines.files import write_json


@dataclass(frozen=True)
class Installation:
    """Binaries and images."""

    assets: Assets
    images: tuple[Path, ...]
    """Tar files of the images that a node imports before its kubelet starts."""
    more_images: tuple[Path, ...] = ()
    """Those of add-ons, which an autoscaled node imports later."""
    seed: Path | None = None
    """What a node's containerd folder starts with; see imagestore."""

    def save(self, paths: Paths) -> None:
        write_json(
            _file(paths),
            {
                "binaries": {name: str(path) for name, path in self.assets.paths.items()},
                "folders": {name: str(path) for name, path in self.assets.folders.items()},
                "images": list(map(str, self.images)),
                "more_images": list(map(str, self.more_images)),
                "seed": str(self.seed) if self.seed else "",
            },
        )


def read(paths: Paths) -> Installation:
    """Raises LabError."""
    try:
        value = json.loads(_file(paths).read_bytes())
        binaries = {name: Path(path) for name, path in value["binaries"].items()}
        # Earlier releases did not write the folders of components.
        folders = {name: Path(path) for name, path in value.get("folders", {}).items()}
        images, more = (tuple(map(Path, value[key])) for key in ("images", "more_images"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(f"{_file(paths)} cannot be read ({error}); `aiconform lab up` writes it again") from error
    seed = value.get("seed")  # earlier releases had none
    return Installation(Assets(binaries, folders), images, more, Path(seed) if seed else None)


def _file(paths: Paths) -> Path:
    return paths.state / "installation.json"
