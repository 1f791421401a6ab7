"""Who a run is: the credentials of a user entry as they are now, and the identity that it impersonates."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from aiconform import untrusted
from aiconform.cluster import plugin
from aiconform.cluster.errors import NoCluster
from aiconform.cluster.kubeconfig import LARGEST, Chosen, Exec, User, decoded
from aiconform.cluster.proof import Proof, header_value

_FAILED_SECONDS = 5.0
"""A plugin that failed is not run again so soon, for requests that waited meanwhile."""
_IN_HEADER_NAMES = "!#$&'*+-.^_`|~"
"""What the name of a header may hold beside letters and digits (RFC 9110), without the percent sign of escapes."""


class Credentials(Protocol):
    """The source of a target's proof."""

    async def current(self) -> Proof:
        """What the next request shows. Raises NoCluster."""


class Fixed:
    """A token, a name with its password, a client certificate, or nothing at all."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof

    async def current(self) -> Proof:
        return self._proof


NONE = Fixed(Proof())


class TokenFile:
    """A token in a file, which somebody renews: the file is read for each request.

    While it cannot be read, its last content serves, or else the entry's own token.
    """

    def __init__(self, path: Path, what: str, proof: Proof) -> None:
        self._path, self._what, self._proof = path, what, proof

    async def current(self) -> Proof:
        try:
            token = untrusted.read_any(self._path, LARGEST).decode().strip()
            if not token:
                raise NoCluster(f"{self._what} is empty.")
            header = f"Bearer {header_value(token, self._what)}"
            self._proof = Proof(header, self._proof.certificate)
        except (OSError, ValueError, NoCluster) as error:
            if not self._proof.authorization:
                if isinstance(error, NoCluster):
                    raise
                why = error.strerror if isinstance(error, OSError) else "it is not text"
                raise NoCluster(f"{self._what} cannot be read: {why}.") from None
        return self._proof


class Plugin:
    """What a credential plugin prints, until that expires. However many requests wait, the plugin runs once.

    `certificate`: the entry's own, for a plugin that prints a token alone.
    """

    def __init__(self, chosen: Chosen, entry: Exec, authority: bytes, certificate: tuple[bytes, bytes] | None) -> None:
        self._asked = (chosen, entry, authority)
        self._certificate = certificate
        self._lock = asyncio.Lock()
        self._proof: Proof | None = None
        self._failure, self._failed_at = "", 0.0

    async def current(self) -> Proof:
        loop = asyncio.get_running_loop()
        async with self._lock:
            if self._proof is None or self._proof.is_over:
                if self._failure and loop.time() - self._failed_at < _FAILED_SECONDS:
                    raise NoCluster(self._failure)
                try:
                    printed = await plugin.run(*self._asked)
                    self._proof = replace(printed, certificate=printed.certificate or self._certificate)
                except NoCluster as error:
                    self._failure, self._failed_at = str(error), loop.time()
                    raise
            return self._proof


def of(chosen: Chosen, authority: bytes) -> Credentials:
    """The credentials of the user entry. `authority`: see `plugin.run`. Raises NoCluster."""
    user = chosen.user
    what = f"of user {chosen.user_name!r} in {chosen.source}"
    basic = bool(user.username or user.password)
    if basic and (user.token or user.token_file):
        raise NoCluster(f"The credentials {what} are ambiguous: it has a token and a name with a password.")
    authorization = ""
    if user.token:
        authorization = f"Bearer {header_value(user.token, f'The token {what}')}"
    elif basic:
        authorization = basic_authorization(user.username, user.password)
    proof = Proof(authorization, _certificate(chosen, what))
    if user.token_file:
        return TokenFile(chosen.user_folder / user.token_file, f"The tokenFile {what}", proof)
    # As with kubectl, a token that stands there serves in place of the plugin.
    if user.plugin and not authorization:
        return Plugin(chosen, user.plugin, authority, proof.certificate)
    return Fixed(proof)


def basic_authorization(name: str, password: str) -> str:
    """The header of HTTP's basic authentication."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def _certificate(chosen: Chosen, what: str) -> tuple[bytes, bytes] | None:
    user = chosen.user
    certificate = content(user.certificate_data, user.certificate, chosen.user_folder, f"The client-certificate {what}")
    key = content(user.key_data, user.key, chosen.user_folder, f"The client-key {what}")
    if bool(certificate) != bool(key):
        raise NoCluster(f"The credentials {what} are not whole: a client-certificate needs its client-key.")
    return (certificate, key) if certificate else None


def content(data: str, path: str, folder: Path, what: str) -> bytes:
    """What a field or the file of its sibling holds; the field is preferred. Raises NoCluster, without any of it."""
    try:
        if data:
            return decoded(data)
        return untrusted.read_any(folder / path, LARGEST) if path else b""
    except OSError as error:
        raise NoCluster(f"{what} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise NoCluster(f"{what} {error}.") from None


def impersonation(user: User, what: str) -> tuple[tuple[str, str], ...]:
    """The headers that ask the API server to act as somebody else. Raises NoCluster.

    See https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
    """
    asked = [("Impersonate-Uid", user.impersonate_uid)] if user.impersonate_uid else []
    asked += [("Impersonate-Group", group) for group in user.impersonate_groups]
    for key, values in user.impersonate_extra.items():
        # What a header's name cannot hold is percent-encoded, as client-go does; names ignore case.
        asked += [(f"Impersonate-Extra-{quote(key, safe=_IN_HEADER_NAMES)}", value) for value in values]
    if asked and not user.impersonate:
        raise NoCluster(f"{what} has as-uid, as-groups or as-user-extra, but no `as`: Kubernetes needs the user, too.")
    if not user.impersonate:
        return ()
    headers = (("Impersonate-User", user.impersonate), *asked)
    return tuple((name, header_value(value, f"What {what} impersonates")) for name, value in headers)
