"""Where a node's fast links are said to be: on the PCIe roots of its simulated accelerators, one after the other.

The links are virtual, so nothing of the kernel says where they are. DRANET asks this server for further attributes of a
device, as it asks those of clouds, over a socket in the kubelet's folder of plugins (its provider `webhook`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from aiconform.lab.accelerators.config import LINKS_SOCKET, AcceleratorConfig, split
from aiconform.lab.accelerators.identity import AcceleratorError
from aiconform.lab.accelerators.slices import attributes
from aiconform.lab.config import FAST_LINKS

ROOT = "resource.kubernetes.io/pcieRoot"


def simulated_attributes(config: AcceleratorConfig, link: str) -> dict[str, dict[str, str]]:
    """Attribute -> its value, as in a ResourceSlice, of the link of this name; empty if DRA offers no accelerators."""
    values = (attributes(config, device).get(ROOT, {}).get("string") for device in split(config)[0])
    roots = list(dict.fromkeys(filter(None, values)))
    if link not in FAST_LINKS or not roots:
        return {}
    return {ROOT: {"string": roots[FAST_LINKS.index(link) % len(roots)]}}


class LinkAttributes:
    """The server. config: of the accelerators, as it is now."""

    def __init__(self, config: Callable[[], AcceleratorConfig]) -> None:
        self._config = config
        self._path = config().plugins_dir / LINKS_SOCKET
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_post("/GetDeviceAttributes", self._attributes)
        app.router.add_post("/GetDeviceConfig", self._nothing)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> None:
        """Raises AcceleratorError if it cannot listen."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            await self._runner.setup()
            await web.UnixSite(self._runner, str(self._path)).start()
        except OSError as err:
            raise AcceleratorError(f"cannot listen on the socket {self._path}: {err.strerror or err}") from err

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"cloudProvider": True, "profileProvider": False})

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _attributes(self, request: web.Request) -> web.Response:
        try:
            asked: object = await request.json()
        except ValueError:
            raise web.HTTPBadRequest from None
        name = asked.get("name") if isinstance(asked, Mapping) else None
        return web.json_response(simulated_attributes(self._config(), str(name)))
