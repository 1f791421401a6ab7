"""The wheel, as users get it: installed into clean environments, and called from a folder outside the checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LOCK = CHECKOUT / "requirements.lock"
RUN = CHECKOUT / "tests/runs/whole-healthy"
PLATFORM = CHECKOUT / "tests/platforms/openshift-gpu"
BUNDLES = CHECKOUT / "tests/bundles/0.1.0"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")


def uv(*words: object, folder: Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("UV") or shutil.which("uv")
    assert program, "uv is not at hand: run the tests by ./dev, which installs it"
    # A build of the lab may be taking the machine's cores meanwhile: these are limits of a hang.
    return subprocess.run(
        [program, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False, timeout=seconds
    )


def done(*words: object, folder: Path) -> str:
    ended = uv(*words, folder=folder)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class Installed:
    """An environment with nothing but the wheel and what it asks for."""

    python: Path
    wheel: Path
    folder: Path

    def add(self, extra: str = "") -> None:
        what = f"{self.wheel}[{extra}]" if extra else self.wheel
        done("pip", "install", "--quiet", "--python", self.python, "--constraint", LOCK, what, folder=self.folder)

    def remove(self, *packages: str) -> None:
        done("pip", "uninstall", "--quiet", "--python", self.python, *packages, folder=self.folder)

    @property
    def command(self) -> str:
        return str(self.python.with_name("aiconform"))

    def __call__(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [self.command, *map(str, words)],
            cwd=self.folder,
            env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KUBECONFIG")},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of the source distribution, as one that is uploaded."""
    folder = tmp_path_factory.mktemp("dist")
    done("build", "--quiet", "--out-dir", folder, CHECKOUT, folder=folder)
    (made,) = folder.glob("*.whl")
    return made


def interpreter(version: str, folder: Path) -> str:
    """A Python of this minor version: the machine's, pyenv's, or one that uv can get. Skips the test without one."""
    found = uv("python", "find", "--system", "--no-python-downloads", version, folder=folder)
    if found.returncode == 0:
        return found.stdout.strip()
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    if own := sorted(root.glob(f"versions/{version}.*/bin/python{version}")):
        return str(own[-1])
    try:
        got = uv("python", "install", "--no-bin", version, folder=folder, seconds=120)
    except subprocess.TimeoutExpired:
        pytest.skip(f"this machine has no Python {version}, and uv could not get one in two minutes")
    if got.returncode:
        pytest.skip(f"this machine has no Python {version}, and uv can get none")
    return done("python", "find", "--system", version, folder=folder).strip()


@pytest.fixture(scope="module", params=PYTHONS)
def slim(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp(f"slim-{request.param}")
    done("venv", "--quiet", "--python", interpreter(request.param, folder), folder / "env", folder=folder)
    installed = Installed(folder / "env/bin/python", wheel, folder)
    installed.add()
    return installed


@contextmanager
def replayed(installed: Installed) -> Iterator[str]:
    """The recorded platform, served by the installed command itself; its kubeconfig."""
    with subprocess.Popen(
        [installed.command, "replay", PLATFORM], cwd=installed.folder, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGINT)


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    list_files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src"]
    listed = subprocess.run(list_files, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.splitlines()
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name.removeprefix("src/") for name in listed} | {"aiconform/spec/process.md"}


def test_a_slim_installation_judges_and_looks_at_platforms(slim: Installed) -> None:
    assert "0.1.0" in slim("--version").stdout
    assert "secure_accelerator_access" in slim("spec", "list").stdout
    assert "37 requirements" in slim("spec", "check").stdout
    assert slim("rbac").stdout.startswith("apiVersion:")
    slim("judge", RUN)
    for form in ("html", "markdown", "junit", "go-test", "json", "text"):
        assert slim("report", RUN, "--format", form).stdout
    slim("spec", "render", slim.folder / "site")
    assert (slim.folder / "site/index.html").is_file()
    with replayed(slim) as kubeconfig:
        found = json.loads(slim("inspect", "--kubeconfig", kubeconfig, "-o", "json").stdout)
        assert found["accelerators"]
        assert slim("run", "--dry-run", "--kubeconfig", kubeconfig).stdout


def test_what_an_extra_brings_is_named_where_it_is_missing(slim: Installed) -> None:
    certify = slim("certify", "validate", ".", code=2)
    assert certify.stderr.count("\n") == 1
    assert "sigstore: pip install 'aiconform[certify]'" in certify.stderr
    assert "Usage:" in slim("certify", "build", "--help").stdout
    assert "Usage:" in slim("lab", "up", "--help").stdout


@LINUX
@pytest.mark.parametrize("words", [("lab", "up"), ("lab", "add-ons"), ("run", "--lab")])
def test_the_lab_s_extra_is_named_before_the_lab_begins(slim: Installed, words: tuple[str, ...]) -> None:
    ended = slim(*words, code=2)
    command = "aiconform lab" if words[0] == "lab" else "aiconform run --lab"
    assert (
        ended.stderr == f"aiconform: `{command}` needs cryptography, grpcio, protobuf: pip install 'aiconform[lab]'\n"
    )


def test_extras_bring_what_their_commands_need(slim: Installed) -> None:
    slim.add("certify")
    key = BUNDLES / "vendor.pub"
    slim("certify", "verify", BUNDLES / "v1.37/test-platform", "--key", key, "--require", "vouched")
    # One that is missing is named, and no other.
    slim.remove("securesystemslib")
    assert "`aiconform certify` needs securesystemslib: pip" in slim("certify", "validate", ".", code=2).stderr
    slim.add("all")
    slim("certify", "verify", BUNDLES / "v1.37/test-platform", "--key", key, "--require", "vouched")
    if sys.platform == "linux":
        assert "nvidia" in slim("lab", "identities").stdout
        assert "kueue" in slim("lab", "add-ons").stdout


def test_it_runs_without_being_installed(wheel: Path, tmp_path: Path) -> None:
    """As `uvx aiconform` does it, and `pipx run`."""
    words = ("tool", "run", "--quiet", "--python", sys.executable, "--constraints", LOCK, "--from")
    assert "0.1.0" in done(*words, wheel, "aiconform", "--version", folder=tmp_path)
    assert "Usage" in done(*words, wheel, "kubectl-aiconform", "run", "--help", folder=tmp_path)
