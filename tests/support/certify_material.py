"""Submissions that the tests of certify are about, written by the tests themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from aiconform.cli import main

METADATA = {
    "kubernetesVersion": "v1.37",
    "platformName": "Test Platform",
    "platformVersion": "2.1",
    "vendorName": "Test Vendor",
    "websiteUrl": "https://platform.test/",
    "documentationUrl": "https://platform.test/docs/2.1/",
    "productLogoUrl": "https://platform.test/logo.svg",
    "description": "A platform that only tests know.",
    "contactEmailAddress": "someone@platform.test",
    "k8sConformanceUrl": "https://github.com/cncf/k8s-conformance/tree/master/v1.37/test-platform",
}
MUST = {
    "ai_inference": "networking",
    "gang_scheduling": "schedulingOrchestration",
    "cluster_autoscaling": "schedulingOrchestration",
    "pod_autoscaling": "schedulingOrchestration",
    "accelerator_metrics": "observability",
    "ai_service_metrics": "observability",
    "secure_accelerator_access": "security",
    "robust_controller": "operator",
}
SHOULD = {
    "driver_runtime_management": "accelerators",
    "gpu_sharing": "accelerators",
    "virtualized_accelerator": "accelerators",
    "advanced_inference_ingress": "networking",
    "high_performance_networking": "networking",
    "disaggregated_inference": "networking",
    "workload_sandboxing": "security",
}


def product(**changed: Any) -> dict[str, Any]:
    """A valid submission for v1.37 as data. `changed`: by requirement id, keys of its claim; `metadata`: its fields."""
    spec: dict[str, list[dict[str, Any]]] = {}
    for requirement, category in {**SHOULD, **MUST}.items():
        claim: dict[str, Any] = {"id": requirement, "description": "", "level": "SHOULD", "status": "", "evidence": []}
        if requirement in MUST:
            evidence = [f"https://platform.test/docs/2.1/{requirement}"]
            claim |= {
                "level": "MUST",
                "status": "Implemented",
                "evidence": evidence,
                "notes": f"Shown for {requirement}.",
            }
        claim |= changed.get(requirement, {})
        spec.setdefault(category, []).append(claim)
    metadata = {**METADATA, **changed.get("metadata", {})}
    return {"metadata": {k: v for k, v in metadata.items() if v is not None}, "spec": spec}


def write(root: Path, data: dict[str, Any] | str | bytes, name: str = "v1.37/test-platform", **files: str) -> Path:
    """The PRODUCT.yaml of a new submission below `root`. JSON is YAML; files: by name, `__` for a dot."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "PRODUCT.yaml"
    if isinstance(data, dict):
        data = json.dumps(data, indent=1)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_text(content, encoding="utf-8")
    return path


def certify(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["certify", *map(str, arguments)])


def validated(path: Path, *options: str | Path) -> dict[str, Any]:
    """The one submission of `certify validate -o json`; the exit code must fit it."""
    result = certify("validate", path, "--offline", "-o", "json", *options)
    assert result.exit_code in (0, 1), result.output
    (submission,) = json.loads(result.stdout)["submissions"]
    assert result.exit_code == (0 if submission["valid"] else 1)
    return dict(submission)


def rules(findings: list[dict[str, Any]], requirement: str | None = None) -> set[str]:
    return {f["rule"] for f in findings if requirement is None or f["requirement"] == requirement}


def junit(**tests: str) -> str:
    inner = {"pass": "", "fail": '<failure message="no"/>', "skip": "<skipped/>", "error": "<error/>"}
    cases = "".join(f'<testcase name="{name}">{inner[outcome]}</testcase>' for name, outcome in tests.items())
    return f'<testsuites><testsuite name="s">{cases}</testsuite></testsuites>'
