"""The kubelet's interfaces as the lab has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import aiconform
from aiconform.lab.accelerators import kubelet

FOLDER = Path(kubelet.__file__).parent
SOURCES = Path(aiconform.__file__).parents[1]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")


def test_generated_modules_are_those_of_the_proto_files(tmp_path: Path) -> None:
    protos = [str(file) for file in sorted(FOLDER.glob("*.proto"))]
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", str(SOURCES), *outputs, *protos], check=True)
    made = {file.name: file.read_text() for file in tmp_path.rglob("*_pb2*")}
    assert made == {file.name: file.read_text() for file in FOLDER.glob("*_pb2*")}, "run ./generate"
