"""A real cluster for the tests of the lab itself and of what needs no add-on: one lab for all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import drop_limited, limited
from support.lab import LAB, Lab, Outcome, succeed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def can_have_labs() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("the lab needs root on Linux")


@pytest.fixture(scope="session")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    # A lab that is still up from an earlier test run has that run's code.
    succeed("lab", "down", "--name", LAB)
    succeed("lab", "up", "--name", LAB)
    yield Lab(LAB, tmp_path_factory.mktemp("runs"))
    succeed("lab", "down", "--name", LAB)


@pytest.fixture(scope="session")
def conforming(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A conformant run with the role that `aiconform rbac` prints. Tests that change its files restore them."""
    try:
        account = limited(lab, tmp_path_factory.mktemp("account"), ("nothing", ""))
        return lab.run("dra_support", "secure_accelerator_access", kubeconfig=account)
    finally:
        drop_limited(lab)
