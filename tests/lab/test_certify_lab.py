"""A bundle made from a real run: it is valid, it verifies, and it stops verifying after any change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from support.lab import Lab, Outcome, succeed

from aiconform.cli import main

CHECK = "secure_accelerator_access"
NONCE = "00112233445566778899aabbccddeeff"
METADATA = {
    "platformName": "Lab",
    "platformVersion": "1.0",
    "vendorName": "Nobody",
    "websiteUrl": "https://lab.test/",
    "documentationUrl": "https://lab.test/docs/1.0/",
    "productLogoUrl": "https://lab.test/logo.svg",
    "description": "The lab of the tests.",
    "contactEmailAddress": "nobody@lab.test",
    "k8sConformanceUrl": "https://github.com/cncf/k8s-conformance/tree/master/v1.37/lab",
}


@pytest.fixture(scope="module")
def signed(lab: Lab, conforming: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with v1.37/lab (the bundle), key.pub, run, and another run of the same check."""
    folder = tmp_path_factory.mktemp("bundle")
    run, other = conforming, lab.run(CHECK, "--challenge", NONCE)
    assert (run.code, other.code) == (0, 0), run.stderr + other.stderr
    (folder / "metadata.yaml").write_text(yaml.safe_dump(METADATA))
    start = folder / "v1.37" / "start"
    succeed("certify", "init", "--no-input", "--metadata", folder / "metadata.yaml", "--out", start)
    product = start / "PRODUCT.yaml"
    # What the run says nothing about is the vendor's to claim.
    claimed = '      level: MUST\n      status: "Implemented"\n      evidence: ["https://lab.test/docs/1.0/"]\n'
    product.write_text(
        product.read_text().replace('      level: MUST\n      status: ""\n      evidence: []\n', claimed)
    )
    succeed("certify", "build", run.folder, "--product", product, "--out", folder / "v1.37" / "lab", "--redact")
    succeed("certify", "sign", folder / "v1.37" / "lab", "--new-key", folder / "key")
    shutil.copytree(other.folder, folder / "other")
    return folder


def test_it_is_valid_executed_and_verifies(signed: Path) -> None:
    bundle = signed / "v1.37" / "lab"
    (found,) = json.loads(succeed("certify", "validate", bundle, "--offline", "-o", "json"))["submissions"]
    assert found["valid"]
    assert found["grades"][CHECK] == "simulated"
    verified = json.loads(succeed("certify", "verify", bundle, "--key", signed / "key.pub", "-o", "json"))
    assert verified["holds"]
    assert verified["shown"]["by_simulated_runs"] == [CHECK]
    assert verified["verdicts"][CHECK] == "pass"
    every = "".join(path.read_text() for path in bundle.rglob("*") if path.is_file())
    assert "198.18." not in every
    assert "aiconform-test" not in every


def test_a_challenge_goes_into_the_cluster_and_comes_back(signed: Path) -> None:
    found = json.loads((signed / "other" / "identity.json").read_text())
    assert found["problems"] == []
    assert found["authority"].startswith("sha256:")
    nodes = {node["name"]: node for node in found["nodes"]}
    assert all(node["uid"] and node["boot_id"] for node in nodes.values())
    assert found["echo"]["said"] == [NONCE, nodes[found["echo"]["node"]]["boot_id"]]
    assert found["echo"]["pod_uid"]
    assert found["echo"]["namespace_uid"]


def _run(bundle: Path) -> Path:
    (run,) = (bundle / "runs").iterdir()
    return run


def _observation(bundle: Path) -> None:
    path = _run(bundle) / f"observations/{CHECK}.json"
    path.write_text(path.read_text().replace("Operation not permitted", "opened"))


def _verdict(bundle: Path) -> None:
    path = _run(bundle) / "report.json"
    path.write_text(path.read_text().replace('"verdict": "pass"', '"verdict": "fail"', 1))


def _status(bundle: Path) -> None:
    path = bundle / "PRODUCT.yaml"
    path.write_text(path.read_text().replace("Implemented", "Not Implemented", 1))


def _artifact(bundle: Path) -> None:
    path = bundle / "junit.xml"
    path.write_text(path.read_text().replace("<testcase ", "<testcase  ", 1))


def _signature(bundle: Path) -> None:
    path = bundle / "attestation.dsse.json"
    data = json.loads(path.read_text())
    data["signatures"][0]["sig"] = data["signatures"][0]["sig"][::-1]
    path.write_text(json.dumps(data))


def _swapped(bundle: Path) -> None:
    run = _run(bundle)
    shutil.rmtree(run)
    shutil.copytree(bundle.parents[1] / "other", run)


@pytest.mark.parametrize(
    "change",
    [_observation, _verdict, _status, _artifact, _signature, _swapped],
    ids=lambda change: change.__name__.removeprefix("_"),
)
def test_any_change_is_found(signed: Path, change: Callable[[Path], None]) -> None:
    place = signed / "changed"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(signed / "v1.37", place / "v1.37")
    shutil.copytree(signed / "other", place / "other")
    change(place / "v1.37" / "lab")
    done = CliRunner().invoke(
        main, ["certify", "verify", str(place / "v1.37" / "lab"), "--key", str(signed / "key.pub")]
    )
    assert done.exit_code == 1
    assert "does NOT hold" in done.stdout
    assert "Traceback" not in done.output
