"""Writes the bundle of this release to tests/bundles: `python -m support.kept_bundle`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from aiconform import __version__
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, make_run

HERE = Path(__file__).parents[1] / "bundles" / __version__
POLICY = """\
signers:
- name: Test Vendor
  vendors: [Test Vendor]
  key: vendor.pub
- name: Test Witness
  role: witness
  key: witness.pub
thresholds: {vendor: 1, witness: 1}
"""
KEPT = ("consistent", "vouched_for", "challenged", "verdicts", "steps")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        bundle = HERE / "v1.37" / "test-platform"
        _done("challenge", "--for", "Test Vendor", "--out", scratch / "challenge.json")
        challenge = json.loads((scratch / "challenge.json").read_text())
        # The run is made at a set time.
        challenge |= {"issued": "2026-11-23T00:00:00+00:00", "expires": "2026-12-23T00:00:00+00:00"}
        run = make_run(scratch / "run", challenge=challenge["nonce"])
        start = write(scratch / "start", product(**{CHECK: {"status": "", "evidence": [], "notes": ""}}))
        _done("build", run, "--product", start, "--out", bundle, "--redact")
        _done("sign", bundle, "--new-key", scratch / "vendor")
        _done("sign", bundle, "--new-key", scratch / "witness", "--countersign")
        for key in ("vendor.pub", "witness.pub"):
            (HERE / key).write_bytes((scratch / key).read_bytes())
        (HERE / "challenge.json").write_text(json.dumps(challenge, indent=1) + "\n")
        (HERE / "policy.yaml").write_text(POLICY)
        options = ("--policy", HERE / "policy.yaml", "--challenge", HERE / "challenge.json", "-o", "json")
        found = json.loads(_done("verify", bundle, *options))
        expected = {name: found[name] for name in KEPT}
        (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def _done(*arguments: str | Path) -> str:
    done = certify(*arguments)
    if done.exit_code:
        raise SystemExit(done.output)
    return done.stdout


if __name__ == "__main__":
    main()
