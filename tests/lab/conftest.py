"""A real cluster for the tests of the lab itself and of what needs no add-on: one lab for all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import drop_limited, limited
from support.lab import CHECKS_LAB, LAB, Lab, Outcome, lab_of_its_own, succeed
from support.scopes import scope


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The labs of many files end with the last of these, not with the worker: each costs what the others lack."""
    here = scope(item.nodeid)
    shared = {"tests/lab/checks/": CHECKS_LAB, "tests/lab/": LAB}.get(here)
    if shared and nextitem is not None and scope(nextitem.nodeid) != here:
        succeed("lab", "down", "--name", shared)


@pytest.fixture(scope="session")
def can_have_labs() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("the lab needs root on Linux")


@pytest.fixture(scope="session")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_of_its_own(LAB, tmp_path_factory.mktemp("runs")) as made:
        yield made


@pytest.fixture(scope="session")
def conforming(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A conformant run with the role that `aiconform rbac` prints. Tests that change its files restore them."""
    try:
        account = limited(lab, tmp_path_factory.mktemp("account"), ("nothing", ""))
        return lab.run("dra_support", "secure_accelerator_access", kubeconfig=account)
    finally:
        drop_limited(lab)
