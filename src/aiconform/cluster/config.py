"""Which cluster to connect to and as whom: a kubeconfig, or the service account of a Pod."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiconform.cluster import credentials, kubeconfig
from aiconform.cluster.credentials import Credentials
from aiconform.cluster.errors import NoCluster
from aiconform.cluster.kubeconfig import Chosen, ClusterEntry, User

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TWO_WAYS = (
    "Name a cluster with --kubeconfig FILE (or KUBECONFIG) and --context NAME, "
    "or bring up the embedded lab with --lab (Linux, root)."
)


@dataclass(frozen=True)
class Target:
    """A cluster and who a run is there.

    server: its URL. context: its name, empty inside a Pod. kubeconfig: the file as it was
    given. authority: the certificates that the API server is trusted by, PEM. impersonation: headers of each request.
    secrets: what must be in no message, beside what the credentials say.
    """

    server: str
    context: str
    source: str
    kubeconfig: str | None
    cluster: ClusterEntry
    authority: bytes
    credentials: Credentials
    impersonation: tuple[tuple[str, str], ...]
    secrets: tuple[str, ...]


def kubeconfig_files(given: str | None) -> list[str]:
    """The files kubectl would read, in its order: the flag, KUBECONFIG, ~/.kube/config."""
    if given:
        return [given]
    named = os.environ.get("KUBECONFIG", "")
    if named:
        return [path for path in named.split(os.pathsep) if path]
    return [str(Path.home() / ".kube" / "config")]


def load(given: str | None, context: str | None, *, again: bool = False) -> Target:
    """Read what a kubeconfig says; no credential plugin runs yet. Raises NoCluster, which says what to do.

    Names on standard error the fields that have no effect, unless it is read `again`.
    """
    files = kubeconfig_files(given)
    # A named pipe, as of a shell's <(...), is a kubeconfig as well.
    present = [path for path in files if Path(path).exists() and not Path(path).is_dir()]
    if not present and not given and not os.environ.get("KUBECONFIG") and (SERVICE_ACCOUNT / "token").is_file():
        return _target(_of_a_pod(), given)
    if not present:
        raise NoCluster(f"No kubeconfig at {', '.join(files)}. {TWO_WAYS}")
    chosen, unknown = kubeconfig.choose(present, context)
    if not again:
        for text in unknown:
            print(f"warning: {text}", file=sys.stderr)
    return _target(chosen, given)


def can_be_read_again(target: Target) -> bool:
    """Whether `load` finds its files a second time; a pipe is read once."""
    return not target.context or all(Path(path).is_file() for path in target.source.split(os.pathsep))


def _target(chosen: Chosen, given: str | None) -> Target:
    cluster, user = chosen.cluster, chosen.user
    authority = credentials.content(
        cluster.authority_data,
        cluster.authority,
        chosen.cluster_folder,
        f"The certificate-authority of context {chosen.context!r} in {chosen.source}",
    )
    if authority and cluster.insecure:
        raise NoCluster(
            f"The cluster of context {chosen.context!r} in {chosen.source} has a certificate-authority and "
            "insecure-skip-tls-verify: leave out one."
        )
    who = f"user {chosen.user_name!r} in {chosen.source}"
    return Target(
        server=_server(chosen, tls=bool(authority or cluster.insecure)),
        context=chosen.context,
        source=chosen.source,
        kubeconfig=given,
        cluster=cluster,
        authority=authority,
        credentials=credentials.of(chosen, authority),
        impersonation=credentials.impersonation(user, who),
        secrets=(user.token, user.password),
    )


def _server(chosen: Chosen, *, tls: bool) -> str:
    """The URL of the API server. Raises NoCluster, without the URL: a password can be in it."""
    where = f"The server of context {chosen.context!r} in {chosen.source}"
    given = chosen.cluster.server.rstrip("/")
    if not given:
        raise NoCluster(f"{where} is not named.")
    url = given if "://" in given else f"{'https' if tls else 'http'}://{given}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise NoCluster(f"{where} is no URL such as https://HOST:PORT.")
    if "@" in parts.netloc:
        raise NoCluster(f"{where} holds a name or a password: write them as username and password of the user.")
    return url


def _of_a_pod() -> Chosen:
    """What Kubernetes gives to the containers of a Pod."""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
    if not host or not port:
        raise NoCluster(
            "There is a service account, but KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set. "
            + TWO_WAYS
        )
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    cluster = ClusterEntry.model_validate({"server": server, "certificate-authority": "ca.crt"})
    user = User.model_validate({"tokenFile": "token"})
    return Chosen("", "the Pod's service account", cluster, SERVICE_ACCOUNT, user, "", SERVICE_ACCOUNT)
