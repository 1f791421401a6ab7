"""The real services of sigstore, with keys of their own in each deployment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sigstore import Issuer, deployment


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    if sys.platform != "linux":
        pytest.skip("the services of sigstore are built for Linux")
    made = Issuer()
    yield made
    made.close()


@pytest.fixture(scope="session")
def ours(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its certificates are of both issuers, `acme` and `other`."""
    folder = tmp_path_factory.mktemp("sigstore") / "ours"
    with deployment(folder, issuer.url, issuer.url.replace("/acme", "/other")) as config:
        yield config


@pytest.fixture(scope="session")
def foreign(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another deployment: the same code, the same issuer, other keys."""
    with deployment(tmp_path_factory.mktemp("sigstore") / "foreign", issuer.url) as config:
        yield config


@pytest.fixture
def short(issuer: Issuer, tmp_path: Path) -> Iterator[Path]:
    """Its certificates end after seconds."""
    with deployment(tmp_path / "short", issuer.url, options=("-lasts", "8s")) as config:
        yield config


@pytest.fixture
def later(issuer: Issuer, tmp_path: Path) -> Iterator[Path]:
    """Its certificates begin in an hour."""
    with deployment(tmp_path / "later", issuer.url, options=("-starts", "1h")) as config:
        yield config
