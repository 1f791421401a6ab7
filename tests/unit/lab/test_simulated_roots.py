"""Where the lab says that a node's fast links are: what the driver of network interfaces is answered on its socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.fake_node import Node

from aiconform.lab.accelerators import AcceleratorError, identities
from aiconform.lab.accelerators.config import LINKS_SOCKET, AcceleratorConfig, Offer, split
from aiconform.lab.accelerators.links import ROOT, LinkAttributes, simulated_attributes
from aiconform.lab.accelerators.slices import attributes
from aiconform.lab.config import FAST_LINKS

WITH_ROOTS = ("simulated", "nvidia", "amd")


@pytest.fixture
def config(folder: Path) -> AcceleratorConfig:
    return Node(folder).config


@pytest.mark.parametrize("identity", WITH_ROOTS)
def test_each_link_is_on_the_root_of_an_accelerator(config: AcceleratorConfig, identity: str) -> None:
    config = config.model_copy(update={"identity": identities()[identity], "offer": Offer.BOTH})
    accelerators = [attributes(config, device)[ROOT] for device in split(config)[0]]
    found = [simulated_attributes(config, link)[ROOT] for link in FAST_LINKS]
    assert found == accelerators[: len(found)]
    assert found[0] != found[1]


def test_links_of_a_node_with_one_accelerator_share_its_root(config: AcceleratorConfig) -> None:
    one = config.model_copy(
        update={"count": 1, "identity": identities()["simulated"].model_copy(update={"further": ()})}
    )
    assert {str(simulated_attributes(one, link)) for link in FAST_LINKS} == {
        f"{{{ROOT!r}: {{'string': 'pci0000:16'}}}}"
    }


def test_where_dra_offers_no_accelerator_links_are_nowhere(config: AcceleratorConfig) -> None:
    by_plugin = config.model_copy(update={"offer": Offer.DEVICE_PLUGIN})
    rootless = config.model_copy(update={"identity": identities()["nvidia"].model_copy(update={"attributes": {}})})
    assert simulated_attributes(by_plugin, "fast0") == simulated_attributes(rootless, "fast0") == {}
    assert simulated_attributes(config, "eth0") == {}


async def test_the_driver_is_answered_as_it_asks(config: AcceleratorConfig) -> None:
    server = LinkAttributes(lambda: config)
    await server.start()
    connector = aiohttp.UnixConnector(str(config.plugins_dir / LINKS_SOCKET))
    async with aiohttp.ClientSession("http://localhost", connector=connector) as session:

        async def asked(path: str, body: Any) -> tuple[int, Any]:
            async with session.post(path, json=body) as answer:
                return answer.status, await answer.json() if answer.ok else None

        async with session.get("/health") as health:
            assert await health.json() == {"cloudProvider": True, "profileProvider": False}
        fast1 = {"mac_address": "02:a1:c1:00:01:01", "name": "fast1"}
        assert await asked("/GetDeviceAttributes", fast1) == (200, {ROOT: {"string": "pci0000:17"}})
        assert await asked("/GetDeviceConfig", fast1) == (200, {})
        for other in ([], "fast1", {"name": 1}, {}):
            assert await asked("/GetDeviceAttributes", other) == (200, {})
        async with session.post("/GetDeviceAttributes", data="{") as refused:
            assert refused.status == 400
    await server.stop()
    # What an earlier process left is in nobody's way.
    again = LinkAttributes(lambda: config)
    await again.start()
    await again.stop()


async def test_a_socket_that_cannot_be_made_is_named(config: AcceleratorConfig, folder: Path) -> None:
    (folder / "file").touch()
    server = LinkAttributes(lambda: config.model_copy(update={"plugins_dir": folder / "file"}))
    with pytest.raises(AcceleratorError, match=r"cannot listen on the socket .*attributes\.sock"):
        await server.start()
    await server.stop()
