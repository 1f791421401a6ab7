"""Reads a kubeconfig: which cluster to connect to, and with which credentials."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import config as kubeconfig_loader
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException

from aiconform.cluster.errors import NoCluster

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
TWO_WAYS = (
    "Name a cluster with --kubeconfig FILE (or KUBECONFIG) and --context NAME, "
    "or bring up the embedded lab with --lab (Linux, root)."
)


@dataclass(frozen=True)
class Target:
    """A cluster as a kubeconfig names it: `context` is empty inside a Pod."""

    configuration: Any
    context: str
    source: str
    kubeconfig: str | None


class _Collect(logging.Handler):
    """Keeps the log messages of the loader, which only logs when a credential plugin fails."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def kubeconfig_files(kubeconfig: str | None) -> list[str]:
    """The files kubectl would read, in its order: the flag, KUBECONFIG, ~/.kube/config."""
    if kubeconfig:
        return [kubeconfig]
    named = os.environ.get("KUBECONFIG", "")
    if named:
        return [path for path in named.split(os.pathsep) if path]
    return [str(Path.home() / ".kube" / "config")]


async def load(kubeconfig: str | None, context: str | None) -> Target:
    """Read the credentials. Raises NoCluster, which says what to do."""
    files = kubeconfig_files(kubeconfig)
    present = [path for path in files if Path(path).is_file()]
    if not present:
        if SERVICE_ACCOUNT.is_file() and not kubeconfig and not os.environ.get("KUBECONFIG"):
            return _in_cluster()
        raise NoCluster(f"No kubeconfig at {', '.join(files)}. {TWO_WAYS}")
    source = os.pathsep.join(present)
    configuration = Configuration()
    collected = _Collect()
    logger = logging.getLogger("kubernetes.aio.config.kube_config")
    logger.addHandler(collected)
    propagate, logger.propagate = logger.propagate, False
    try:
        names, current = _contexts(present)
        name = context or current
        if name not in names:
            known = f"It has: {', '.join(names) or 'none'}."
            raise NoCluster(
                f"No context {name!r} in {source}. {known}" if name else f"{source} sets no context. {known}"
            )
        await kubeconfig_loader.load_kube_config(source, context=name, client_configuration=configuration)
    except (ConfigException, yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        raise NoCluster(f"The kubeconfig {source} cannot be used: {error}. {TWO_WAYS}") from error
    finally:
        logger.removeHandler(collected)
        logger.propagate = propagate
    if collected.messages and not (configuration.api_key or configuration.cert_file):
        raise NoCluster(
            f"The credentials of context {name!r} in {source} cannot be obtained: {'; '.join(collected.messages)}"
        )
    return Target(configuration, context=name, source=source, kubeconfig=kubeconfig)


def _contexts(files: list[str]) -> tuple[list[str], str]:
    """The names of all contexts, and the current one (the first file that sets it wins)."""
    names: list[str] = []
    current = ""
    for path in files:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        if not isinstance(content, dict):
            raise ConfigException(f"{path} is not a kubeconfig")
        names += [entry["name"] for entry in content.get("contexts") or []]
        current = current or content.get("current-context") or ""
    return names, current


def _in_cluster() -> Target:
    configuration = Configuration()
    try:
        kubeconfig_loader.load_incluster_config(client_configuration=configuration)
    except ConfigException as error:
        raise NoCluster(f"The Pod's service account cannot be used: {error}. {TWO_WAYS}") from error
    return Target(configuration, context="", source="the Pod's service account", kubeconfig=None)
