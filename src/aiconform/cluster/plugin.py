"""Credential plugins: the program that `exec` of a kubeconfig names prints a token or a client certificate.

What it writes to standard error is for the user: a login page, a code to enter. See
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiconform.cluster.errors import NoCluster
from aiconform.cluster.kubeconfig import Chosen, Exec
from aiconform.cluster.proof import Proof, header_value

LIMIT_SECONDS = 60.0
ATTENDED_LIMIT_SECONDS = 300.0
"""With a terminal there is somebody who can log in meanwhile."""
TELL_SECONDS = 2.0
"""After so long the user is told who is waited for."""
_REST_SECONDS = 0.5
"""For what a plugin has written when it ends."""
_EXTENSION = "client.authentication.k8s.io/exec"
"""The extension of a cluster entry that is handed to a plugin."""


async def run(chosen: Chosen, plugin: Exec, authority: bytes) -> Proof:
    """What the plugin prints. `authority`: the certificates that the API server is trusted by. Raises NoCluster."""
    who = f"the credential plugin {plugin.command} of user {chosen.user_name!r}"
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if plugin.interactive == "Always" and not terminal:
        raise NoCluster(
            f"{who} asks for a terminal (interactiveMode Always), and standard input is none: log in beforehand."
        )
    attended = terminal and plugin.interactive != "Never"
    limit = ATTENDED_LIMIT_SECONDS if terminal else LIMIT_SECONDS
    variables = {entry.name: entry.value for entry in plugin.env}
    variables["KUBERNETES_EXEC_INFO"] = json.dumps(_info(chosen, plugin, authority, interactive=attended))
    command = plugin.command
    if Path(command).name != command:
        # Joining keeps an absolute path as it is.
        command = str(chosen.user_folder / command)
    said = bytearray()
    with _pipe(said.extend) as output, _errors() as errors:
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *plugin.args,
                env={**os.environ, **variables},
                stdin=None if attended else asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it cannot be started"
            hint = "".join(char if char.isprintable() or char == "\n" else " " for char in plugin.install_hint).strip()
            raise NoCluster(f"{who} cannot be run: {why}.{f' {hint}' if hint else ''}") from None
        try:
            code = await _ended(process, f"{who} (at most {limit:.0f} s)", limit)
        except TimeoutError:
            raise NoCluster(
                f"{who} did not end within {limit:.0f} s: log in beforehand, or see what it waits for above."
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if code:
        raise NoCluster(f"{who} ended with exit code {code}; what it says is above. Log in again with it.")
    return _read(bytes(said), plugin, who)


def _info(chosen: Chosen, plugin: Exec, authority: bytes, *, interactive: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.provide_cluster_info:
        cluster = chosen.cluster
        told = {
            "server": cluster.server,
            "tls-server-name": cluster.tls_server_name,
            "insecure-skip-tls-verify": cluster.insecure,
            "certificate-authority-data": base64.b64encode(authority).decode(),
            "proxy-url": cluster.proxy_url,
            "disable-compression": cluster.disable_compression,
            "config": next((each.extension for each in cluster.extensions if each.name == _EXTENSION), None),
        }
        spec["cluster"] = {key: value for key, value in told.items() if value}
    return {"apiVersion": plugin.version, "kind": "ExecCredential", "spec": spec}


async def _ended(process: asyncio.subprocess.Process, who: str, limit: float) -> int:
    """The exit code. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    telling = loop.call_later(TELL_SECONDS, lambda: print(f"aiconform: waiting for {who}", file=sys.stderr, flush=True))
    try:
        async with asyncio.timeout(limit):
            return await process.wait()
    finally:
        telling.cancel()


@contextmanager
def _pipe(take: Callable[[bytes], object]) -> Iterator[int]:
    """A file descriptor to write to; what is written is taken at once.

    It does not matter that something which the plugin started keeps it open after the plugin has ended.
    """
    source, sink = os.pipe()

    def read() -> None:
        with suppress(OSError, ValueError):
            while data := os.read(source, 1 << 16):
                take(data)
        os.close(source)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        os.close(sink)
        thread.join(_REST_SECONDS)


@contextmanager
def _errors() -> Iterator[int | None]:
    """Where a plugin's standard error goes. A terminal is inherited (None), so that prompts work."""
    to = sys.stderr
    if to is None or (to.isatty() and sys.__stderr__ is to):
        yield None
        return

    def pass_on(data: bytes) -> None:
        to.write(data.decode("utf-8", "replace"))
        to.flush()

    with _pipe(pass_on) as sink:
        yield sink


def _read(said: bytes, plugin: Exec, who: str) -> Proof:
    """The credentials in an ExecCredential. Messages hold nothing of it."""
    wrong = f"{who} printed no usable ExecCredential of {plugin.version}"
    try:
        credential = json.loads(said)
    except (ValueError, RecursionError):
        raise NoCluster(f"{wrong}: it is no JSON.") from None
    status = credential.get("status") if isinstance(credential, Mapping) else None
    if not isinstance(status, Mapping) or credential.get("kind") != "ExecCredential":
        raise NoCluster(f"{wrong}: kind or status is missing.")
    if credential.get("apiVersion") != plugin.version:
        raise NoCluster(f"{wrong}: its apiVersion is another one.")
    texts = {}
    for key in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp"):
        texts[key] = status.get(key) or ""
        if not isinstance(texts[key], str):
            raise NoCluster(f"{wrong}: status.{key} is not text.")
    token, certificate, key = texts["token"], texts["clientCertificateData"], texts["clientKeyData"]
    if not token and not certificate:
        raise NoCluster(f"{wrong}: it has neither a token nor a client certificate.")
    if bool(certificate) != bool(key):
        raise NoCluster(f"{wrong}: a client certificate needs its key, and a key its certificate.")
    return Proof(
        authorization=f"Bearer {header_value(token, f'the token of {who}')}" if token else "",
        certificate=(certificate.encode(), key.encode()) if certificate else None,
        expires=_expires(texts["expirationTimestamp"], wrong),
    )


def _expires(given: str, wrong: str) -> datetime | None:
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise NoCluster(f"{wrong}: status.expirationTimestamp is not a time.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
