"""Accounts of the lab that have less than an administrator's permissions."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.lab import Lab, succeed


def limited(lab: Lab, folder: Path, without: tuple[str, str]) -> Path:
    """A kubeconfig for an account with the role that `aiconform rbac` prints, less one (resource, verb)."""
    role = yaml.safe_load(succeed("rbac"))
    resource, verb = without
    for rule in role["rules"]:
        if resource in rule["resources"]:
            rule["verbs"] = [each for each in rule["verbs"] if each != verb]
    role["rules"] = [rule for rule in role["rules"] if rule["verbs"]]
    name = f"limited-{resource.replace('/', '-')}-{verb or 'nothing'}"
    role["metadata"]["name"] = name
    manifest = folder / f"{name}.yaml"
    manifest.write_text(yaml.safe_dump(role))
    lab.kubectl("apply", "-f", str(manifest))
    lab.kubectl("create", "serviceaccount", name, "-n", "default")
    lab.kubectl("create", "clusterrolebinding", name, "--clusterrole", name, "--serviceaccount", f"default:{name}")
    config = yaml.safe_load(lab.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": lab.kubectl("create", "token", name, "-n", "default").strip()}
    path = folder / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def drop_limited(lab: Lab) -> None:
    for kind in ("clusterrolebinding", "clusterrole"):
        names = [name for name in lab.kubectl("get", kind, "-o", "name").split() if "/limited-" in name]
        if names:
            lab.kubectl("delete", *names)
    accounts = [name for name in lab.kubectl("get", "serviceaccount", "-o", "name").split() if "/limited-" in name]
    if accounts:
        lab.kubectl("delete", *accounts)
