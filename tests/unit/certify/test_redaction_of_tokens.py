"""A canary for each form of credential: wherever it stands in a run, it is gone from the redacted copy."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from support.certify_material import certify
from support.certify_runs import CHECK, make_run, sealed

from aiconform.certify.redaction.redactor import Redaction, Redactor

# Put together here, so that nobody's scanner takes them for real.
R = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f9" * 2
KEY = base64.b64encode(R.encode() * 2).decode()
CANARIES = {
    "json-web-token": f"eyJhbGciOiJSUzI1NiJ9.eyJ{R}.{R}",
    "github-classic": f"ghp_{R[:36]}",
    "github-fine-grained": f"github_pat_{R}",
    "github-app": f"ghs_{R[:36]}",
    "gitlab-personal": f"glpat-{R[:20]}",
    "gitlab-deploy": f"gldt-{R[:20]}",
    "gitlab-runner": f"glrt-{R[:20]}",
    "hugging-face": f"hf_{R[:34]}",
    "hugging-face-organization": f"api_org_{R[:34]}",
    "openai": f"sk-{R}",
    "openai-project": f"sk-proj-{R}",
    "anthropic": f"sk-ant-api03-{R}",
    "openrouter": f"sk-or-v1-{HEX}",
    "nvidia": f"nvapi-{R}",
    "groq": f"gsk_{R}",
    "replicate": f"r8_{R[:37]}",
    "databricks": f"dapi{HEX[:32]}",
    "google-api": f"AIza{R[:35]}",
    "google-oauth": f"ya29.{R}",
    "google-client": f"GOCSPX-{R[:28]}",
    "aws-id": f"AKIA{HEX[:16].upper()}",
    "aws-temporary-id": f"ASIA{HEX[:16].upper()}",
    "azure-client": f"abc8Q~{R[:34]}",
    "digitalocean": f"dop_v1_{HEX}",
    "docker": f"dckr_pat_{R[:27]}",
    "npm": f"npm_{R[:36]}",
    "pypi": f"pypi-{R}{R}",
    "slack": f"xoxb-{R}",
    "vault": f"hvs.{R}",
    "stripe": f"sk_live_{R[:24]}",
    "sendgrid": f"SG.{R[:22]}.{R}",
    "grafana": f"glsa_{R}",
    "new-relic": f"NRAK-{R[:27].upper()}",
    "age": f"AGE-SECRET-KEY-1{(R * 2)[:58].upper()}",
    "pem-in-base64": base64.b64encode(f"-----BEGIN PRIVATE KEY-----{R}{R}".encode()).decode(),
    "instance-of-aws": "ip-10-20-30-44.eu-west-1.compute.internal",
    "instance-id": f"i-{HEX[:17]}",
    "instance-of-gke": "gke-prod-gpu-pool-1a2b3c4d-x9yz",
    "instance-of-aks": "aks-gpupool-12345678-vmss00000a",
    "instance-of-gce": "worker-7.europe-west4-a.c.our-project.internal",
}
IN_CONTEXT = {
    "bearer": ("Authorization: Bearer {}", R),
    "basic": ("authorization: basic {}", KEY),
    "postgres": ("postgresql://app:{}@db.corp.test:5432/x", "p4ssw0rd!x"),
    "redis": ("redis://:{}@cache:6379/0", "s3cretpw"),
    "amqp": ("amqps://user:{}@queue/v", "S3:cret@more"),
    "sentry": ("https://{}@o1.ingest.test/1", HEX[:32]),
    "jdbc": ("jdbc:mysql://db/x?user=a&password={}&ssl=true", "Hunter22x"),
    "azure-storage": ("DefaultEndpointsProtocol=https;AccountKey={};EndpointSuffix=x", KEY),
    "azure-sas": ("https://x.blob.test/c?sv=2024&sig={}", R),
    "service-bus": ("Endpoint=sb://x/;SharedAccessKey={}", KEY),
    "aws-secret": ("AWS_SECRET_ACCESS_KEY={}", R),
    "wandb": ("WANDB_API_KEY: {}", HEX[:40]),
    "kubeadm": ("kubeadm join --token {} 10.0.0.1:6443", "abcdef.0123456789abcdef"),
    "slack-webhook": ("https://hooks.slack.com/services/{}", "T0001/B0002/abcdefghij0123456789"),
    "pem": ("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", f"{R}\n{R}"),
    "openssh": ("-----BEGIN OPENSSH PRIVATE KEY-----\\n{}\\n-----END OPENSSH PRIVATE KEY-----", f"{R}--{R}"),
    "client-key": ("client-key-data: {}", KEY),
}
EVERY = {**{name: ("{}", value) for name, value in CANARIES.items()}, **IN_CONTEXT}


@pytest.mark.parametrize("name", list(EVERY))
@pytest.mark.parametrize("around", ["{}", "it said: {} (403)", '{{"a": "{}"}}'])
def test_a_credential_is_taken_out_of_text(name: str, around: str) -> None:
    form, value = EVERY[name]
    redactor = Redactor([], Redaction())
    once = redactor.text(around.format(form.format(value)))
    assert value not in once
    assert "redacted" in once
    assert redactor.text(once) == once


def test_no_canary_survives_the_redaction_of_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    texts = {name: form.format(value) for name, (form, value) in EVERY.items()}
    (run / "objects" / CHECK / "canaries.json").write_text(
        json.dumps(
            {"env": [{"name": "HF_TOKEN", "value": "plain-words-only"}], "said": texts, "list": list(texts.values())}
        )
    )
    sealed(run)
    result = certify("redact", run, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    left = "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert [name for name, (_, value) in EVERY.items() if json.dumps(value)[1:-1] in left] == []
    assert "plain-words-only" not in left


@pytest.mark.parametrize(
    "text",
    [
        "risk-assessment-of-the-whole-platform",
        "the token: required by the exporter",
        "password=unset",
        "sk-learn is a library",
        "i-am-here",
        "ip-address",
        "gke-gpu-nodes",
        "https://github.com/x/y/blob/main/z",
        "http://exporter:9400/metrics",
        "nvidia.com/gpu: 8",
        "aks-gpu",
    ],
)
def test_words_stay(text: str) -> None:
    assert Redactor([], Redaction()).text(text) == text
