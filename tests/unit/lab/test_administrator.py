"""The lab asks its own API server again that has no time to answer."""

from __future__ import annotations

from pathlib import Path

import yaml

from aiconform.cluster import patience
from aiconform.lab.kubernetes.administrator import administrator


async def test_what_the_lab_asks_its_cluster_is_asked_again_for_a_while(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    content = {
        "clusters": [{"name": "lab", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "admin", "user": {}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        "current-context": "lab",
    }
    kubeconfig.write_text(yaml.safe_dump(content))
    async with administrator(kubeconfig) as cluster:
        assert cluster is not None
        assert patience.seconds() >= 30
    assert patience.seconds() == 0
