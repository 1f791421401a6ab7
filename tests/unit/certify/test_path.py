"""docs/certification.md, tried literally: every command of the page, in its order, in one shell.

What no test can do stands in for itself: the programme's repository and its forks are local ones, the installation is
the one that runs the tests, and `run` gives a run of tests/runs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.certify_material import MUST, SHOULD, product, write

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/certification.md").read_text()
RUN = ROOT / "tests/runs/whole-healthy"
UPSTREAM = "https://github.com/cncf/k8s-ai-conformance"
FORK = "https://github.com/acme/k8s-ai-conformance"

AICONFORM = f"""#!{sys.executable}
import shutil, sys
from aiconform.cli import main
if sys.argv[1:2] in (["run"], ["inspect"]):
    # Its options are read as always; there is no cluster.
    command = main.get_command(None, sys.argv[1])
    with command.make_context(sys.argv[1], sys.argv[2:]) as context:
        if sys.argv[1] == "run":
            shutil.copytree({str(RUN)!r}, context.params["out"])
    sys.exit(0)
sys.exit(main())
"""
UV = '#!/bin/sh\n[ "$*" = "tool install NAME" ] || { echo "uv $*" >&2; exit 1; }\n'
WORDS = "Words of this requirement as the programme has them."


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def checklist() -> str:
    spec: dict[str, list[dict[str, str]]] = {}
    for id_, category in {**MUST, **SHOULD}.items():
        level = "MUST" if id_ in MUST else "SHOULD"
        spec.setdefault(category, []).append({"id": id_, "description": WORDS, "level": level})
    return json.dumps({"spec": spec})


@dataclass(frozen=True)
class Place:
    """folder: where the commands are called. environment: what stands in for the world around them."""

    folder: Path
    environment: dict[str, str]

    def call(self, script: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("path")
    programs, work, seed = root / "bin", root / "work", root / "seed"
    for folder in (programs, work, seed / "docs"):
        folder.mkdir(parents=True)
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    for program, text in (("aiconform", AICONFORM), ("uv", UV.replace("NAME", f"./{name}[certify]"))):
        (programs / program).write_text(text)
        (programs / program).chmod(0o755)
    for version in ("1.36", "1.37"):
        (seed / f"docs/AIConformance-{version}.yaml").write_text(checklist())
    write(seed, product(metadata={"kubernetesVersion": "v1.36"}), "v1.36/acme-edge")
    who = ("-c", "user.name=Programme", "-c", "user.email=programme@test")
    git(seed, "init", "--quiet", "--initial-branch=main")
    git(seed, "add", ".")
    git(seed, *who, "commit", "--quiet", "--message=Start")
    for each in ("upstream", "fork"):
        git(root, "clone", "--quiet", "--bare", str(seed), each)
    config = [("user.name", "A Vendor"), ("user.email", "vendor@acme.example")]
    config += [(f"url.{root / each}.insteadOf", url) for each, url in (("upstream", UPSTREAM), ("fork", FORK))]
    (root / "gitconfig").write_text("")
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": str(root / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    for key, value in config:
        subprocess.run(["git", "config", "--global", key, value], env=environment, check=True)
    return Place(work, environment)


@pytest.fixture(scope="module")
def done(place: Place) -> Place:
    """After every command of the page. What a person does between them is done where the page says so."""
    metadata = next(block for block in blocks("yaml") if block.startswith("# ../acme.yaml\n"))
    (place.folder / "acme.yaml").write_text(metadata)
    commands = blocks("sh")
    pushed = next(number for number, block in enumerate(commands) if "git push" in block)
    script = "\n".join(commands[: pushed + 1])
    place.call(script)
    # Opening the pull request.
    root = place.folder.parent
    git(root / "upstream", "fetch", "--quiet", str(root / "fork"), "acme-v1.37:refs/pull/123/head")
    place.call("\n".join(["cd k8s-ai-conformance", *commands[pushed + 1 :]]))
    return place


def test_the_page_leads_to_a_bundle_that_is_valid_and_verifies(done: Place) -> None:
    comment = (done.folder / "comment.md").read_text()
    assert "v1.37/acme: valid by the programme's rules" in comment
    bundle = done.folder / "k8s-ai-conformance/v1.37/acme"
    found = done.call(f"aiconform certify verify {bundle} --key acme.key.pub --require valid -o json").stdout
    verified = json.loads(found)
    assert verified["consistent"] == "yes"
    # The run was of a lab.
    assert set(verified["shown"]["by_simulated_runs"]) == set(MUST)


def test_what_is_pushed_is_what_was_signed(done: Place, tmp_path: Path) -> None:
    """Also where git converts line ends: the bundle's attributes keep it from that."""
    fork = done.folder.parent / "fork"
    git(tmp_path, "-c", "core.autocrlf=true", "clone", "--quiet", "--branch", "acme-v1.37", str(fork), "copy")
    assert b"\r\n" in (tmp_path / "copy/docs/AIConformance-1.37.yaml").read_bytes() + b"\r\n"
    done.call(f"aiconform certify verify {tmp_path}/copy/v1.37/acme --key acme.key.pub")


def test_every_message_that_the_page_explains_is_one_of_the_tool() -> None:
    table = PAGE.partition("### If something is in the way")[2].partition("###")[0]
    source = "".join(path.read_text() for path in (ROOT / "src/aiconform").rglob("*.py"))
    plain = re.sub(r'"\s*f?"', "", source)
    for cell in re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE):
        for message in re.findall(r"`(.+?)`", cell):
            parts = [part.strip() for part in re.split(r"…|v1\.3[67]|CRLF|attestation\.dsse\.json", message)]
            assert all(part in plain for part in parts if part), message


def test_no_other_name_of_a_command_is_on_the_page() -> None:
    """Commands in the text exist, with their options."""
    from aiconform.cli import main

    certify = main.get_command(None, "certify")  # type: ignore[arg-type]
    for name in re.findall(r"`(?:aiconform )?certify ([a-z]+)", PAGE):
        assert certify.get_command(None, name), name  # type: ignore[union-attr]
