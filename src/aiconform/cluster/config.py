"""Which cluster to connect to and as whom: a kubeconfig, or the service account of a Pod."""

from __future__ import annotations

import ipaddress
import os
import stat
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
    try:
        return [str(Path.home() / ".kube" / "config")]
    except RuntimeError:
        # An arbitrary user, as OpenShift gives to Pods, without HOME and without an entry in /etc/passwd.
        return []


def load(given: str | None, context: str | None, *, again: bool = False) -> Target:
    """Read what a kubeconfig says; no credential plugin runs yet. Raises NoCluster, which says what to do.

    Names on standard error the fields that have no effect, unless it is read `again`.
    """
    files = kubeconfig_files(given)
    unnamed = not given and not os.environ.get("KUBECONFIG")
    # A context is one of a kubeconfig: who names one does not mean the Pod's own cluster.
    in_pod = unnamed and not context and _has_service_account()
    try:
        present = [path for path in files if _is_there(path, unnamed=unnamed)]
    except NoCluster as error:
        if not (in_pod and all(_api_server_of_a_pod())):
            raise NoCluster(f"{error} {TWO_WAYS}" if unnamed else str(error)) from None
        present = []
        if not again:
            print(f"warning: {error} Nobody named it, so the Pod's service account is used.", file=sys.stderr)
    if not present and in_pod:
        return _target(_of_a_pod(), given)
    if not present:
        raise NoCluster(f"No kubeconfig at {', '.join(files) or '~/.kube/config, as the user has no home'}. {TWO_WAYS}")
    chosen, without_effect = kubeconfig.choose(present, context)
    target = _target(chosen, given)
    if _in_the_clear(target.server) and chosen.user.has_credentials:
        without_effect.append(
            f"the credentials of user {chosen.user_name!r} are not sent, as by kubectl: the server of context "
            f"{chosen.context!r} is http://, where they could be read on the way"
        )
    if not again:
        for text in without_effect:
            print(f"warning: {text}", file=sys.stderr)
    return target


def _in_the_clear(server: str) -> bool:
    """Whether what is sent to this server can be read on the way."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    try:
        return parts.scheme == "http" and not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return parts.scheme == "http" and host != "localhost"


def _is_there(path: str, *, unnamed: bool) -> bool:
    """As for kubectl, files that are absent are passed over; others have to be read. Raises NoCluster.

    unnamed: nobody named the file. Where no such file can be, as with HOME=/dev/null or a directory that a container
    runtime made for a mount, it is absent.
    """
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if unnamed and stat.S_ISDIR(mode):
            return False
        if unnamed and stat.S_ISREG(mode):
            file.open("rb").close()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        if unnamed and isinstance(error, NotADirectoryError):
            return False
        raise NoCluster(f"The kubeconfig {path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    return True


def _has_service_account() -> bool:
    try:
        return (SERVICE_ACCOUNT / "token").is_file()
    except OSError:
        return False


def _api_server_of_a_pod() -> tuple[str, str]:
    """(host, port) of the API server, as Kubernetes tells the containers of a Pod; empty where it does not."""
    return os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")


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
    if authority and b"-----BEGIN CERTIFICATE" not in authority and b"-----BEGIN TRUSTED" not in authority:
        # Without any, the machine's own authorities would be trusted in their place.
        raise NoCluster(
            f"The certificate-authority of context {chosen.context!r} in {chosen.source} holds no certificate (PEM)."
        )
    if authority and cluster.insecure:
        raise NoCluster(
            f"The cluster of context {chosen.context!r} in {chosen.source} has a certificate-authority and "
            "insecure-skip-tls-verify: leave out one."
        )
    who = f"user {chosen.user_name!r} in {chosen.source}"
    server = _server(chosen, tls=bool(authority or cluster.insecure))
    return Target(
        server=server,
        context=chosen.context,
        source=chosen.source,
        kubeconfig=given,
        cluster=cluster,
        authority=authority,
        credentials=credentials.NONE if _in_the_clear(server) else credentials.of(chosen, authority),
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
    host, port = _api_server_of_a_pod()
    if not host or not port:
        raise NoCluster(
            "There is a service account, but KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set. "
            + TWO_WAYS
        )
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    cluster = ClusterEntry.model_validate({"server": server, "certificate-authority": "ca.crt"})
    user = User.model_validate({"tokenFile": "token"})
    return Chosen("", "the Pod's service account", cluster, SERVICE_ACCOUNT, user, "", SERVICE_ACCOUNT)
