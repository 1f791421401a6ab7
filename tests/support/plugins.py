"""Distributions that bring checks, as an installer leaves them: a module, its metadata, its record."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import yaml

from aiconform.check import registry
from aiconform.spec import load_standard

CHECK = '''
from pathlib import Path

from aiconform.check import Observation, Options, collect, holds, assertion, option, probe


class Links(Observation):
    """The links of a fabric."""

    up: int


class FabricOptions(Options):
    """What can be set."""

    pool: str = option("default", "The pool to look at.")


@probe(limit=5.0)
async def links(platform, scratch, settings, target) -> Links:
    return Links(up=4)


@assertion("links_are_up", "All links are up")
def links_are_up(seen: Links):
    return holds(seen.up == 4, f"{seen.up} of 4 links are up", subjects=4)


CHECK = collect("acme.fabric", __name__, requirement=Path(__file__).with_name("acme.fabric.yaml"))
'''


def requirement(id_: str = "acme.fabric", line: str = "links_are_up") -> str:
    """The file of an extension's requirement: that of one in the standard, cut to what an extension may have."""
    data = load_standard().requirement("dra_support").model_dump(mode="json", exclude_none=True)
    for key in ("kar", "category", "levels", "earlier", "programme", "lab", "related"):
        data.pop(key, None)
    step = {"do": "Count the links.", "observe": "Each link.", "holds": [{"id": line, "text": "All links are up."}]}
    data["procedure"]["steps"] = [step]
    return yaml.safe_dump({**data, "id": id_, "stage": "proposed", "title": "Fabric", "owners": ["acme"]})


def install(
    folder: Path,
    distribution: str = "acme-fabric",
    *,
    id_: str = "acme.fabric",
    module: str = "acme_fabric",
    version: str = "1.0",
    code: str = CHECK,
    file: str | None = None,
) -> Path:
    """Write a distribution into a folder of the import path; its requirement's file is `acme.fabric.yaml`."""
    package = folder / module
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(textwrap.dedent(code))
    (package / "acme.fabric.yaml").write_text(requirement() if file is None else file)
    about = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[aiconform.checks]\n{id_} = {module}:CHECK\n")
    record = [f"{module}/__init__.py,,", f"{module}/acme.fabric.yaml,,", f"{about.name}/METADATA,,"]
    (about / "RECORD").write_text("\n".join(record) + "\n")
    return package


def rewrite(package: Path, code: str) -> None:
    """Install other code in the place of what is there."""
    (package / "__init__.py").write_text(code)
    forget()


def forget() -> None:
    """Look again at what is installed, and import it again."""
    registry.forget()
    for module in [name for name in sys.modules if name.startswith("acme")]:
        del sys.modules[module]
