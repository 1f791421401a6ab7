"""What kubeconfigs say: reads the files, merges them as kubectl does, and takes the entries of one context.

Every field is honoured or refused by name; a field that is not known is named. A value of a user entry never becomes
part of a message: it may be a credential, also where it was put by mistake.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aiconform import untrusted
from aiconform.cluster.errors import NoCluster
from aiconform.spec import yamlfile

LARGEST = 16 << 20
"""Bytes of a kubeconfig, and of a file that it names. One of hundreds of clusters has a few megabytes."""
_TOP = {"apiVersion", "kind", "clusters", "users", "contexts", "current-context", "preferences", "extensions"}
_LISTS = ("clusters", "users", "contexts")
_FIELD = re.compile(r"[A-Za-z][A-Za-z.-]{0,40}")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: Any) -> Any:
        return {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else given


class Context(_Entry):
    """`context` of an entry of `contexts`. A run has Namespaces of its own, whatever `namespace` says."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""
    extensions: Any = None


class Extension(_Entry):
    """An entry of `extensions`."""

    name: str
    extension: Any = None


class ClusterEntry(_Entry):
    """`cluster` of an entry of `clusters`: where the API server is, and how it is trusted."""

    server: str = ""
    tls_server_name: str = Field("", alias="tls-server-name")
    insecure: bool = Field(False, alias="insecure-skip-tls-verify")
    authority: str = Field("", alias="certificate-authority")
    authority_data: str = Field("", alias="certificate-authority-data")
    proxy_url: str = Field("", alias="proxy-url")
    disable_compression: bool = Field(False, alias="disable-compression")
    extensions: list[Extension] = []


class Variable(_Entry):
    """An environment variable of a credential plugin."""

    name: str = Field(min_length=1)
    value: str = ""


class Exec(_Entry):
    """A credential plugin."""

    version: Literal["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] = Field(
        alias="apiVersion"
    )
    command: str = Field(min_length=1)
    args: list[str] = []
    env: list[Variable] = []
    install_hint: str = Field("", alias="installHint")
    provide_cluster_info: bool = Field(False, alias="provideClusterInfo")
    interactive: Literal["Never", "IfAvailable", "Always"] = Field("IfAvailable", alias="interactiveMode")


class User(_Entry):
    """`user` of an entry of `users`: who a run is, and whom it impersonates."""

    certificate: str = Field("", alias="client-certificate")
    certificate_data: str = Field("", alias="client-certificate-data")
    key: str = Field("", alias="client-key")
    key_data: str = Field("", alias="client-key-data")
    token: str = ""
    token_file: str = Field("", alias="tokenFile")
    username: str = ""
    password: str = ""
    impersonate: str = Field("", alias="as")
    impersonate_uid: str = Field("", alias="as-uid")
    impersonate_groups: list[str] = Field([], alias="as-groups")
    impersonate_extra: dict[str, list[str]] = Field({}, alias="as-user-extra")
    plugin: Exec | None = Field(None, alias="exec")
    auth_provider: Any = Field(None, alias="auth-provider")
    extensions: Any = None

    @property
    def has_credentials(self) -> bool:
        """Whether it says who a run is, beside whom it impersonates."""
        certificates = (self.certificate, self.certificate_data, self.key, self.key_data)
        return any((*certificates, self.token, self.token_file, self.username, self.password, self.plugin))

    @field_validator("auth_provider")
    @classmethod
    def _is_gone(cls, given: Any) -> Any:
        if given is not None:
            raise ValueError(
                "auth providers (oidc, gcp, azure) are not supported: use a credential plugin (`exec`), such as "
                "kubelogin for OIDC, or a token"
            )
        return given


@dataclass(frozen=True)
class Chosen:
    """The entries of one context. Relative paths in an entry start at the folder of the file that it is in."""

    context: str
    source: str
    cluster: ClusterEntry
    cluster_folder: Path
    user: User
    user_name: str
    user_folder: Path


@dataclass(frozen=True)
class _Named:
    """An entry as it stands in a file."""

    name: str
    content: Any
    file: str

    @property
    def folder(self) -> Path:
        return Path(self.file).absolute().parent


E = TypeVar("E", bound=_Entry)


def choose(files: Sequence[str], context: str | None) -> tuple[Chosen, list[str]]:
    """(the entries of this context or of the current one, a sentence about each field that has no effect).

    Raises NoCluster.
    """
    source = os.pathsep.join(files)
    lists: dict[str, dict[str, _Named]] = {which: {} for which in _LISTS}
    current, unknown = "", []
    for file in files:
        content = _read(file)
        unknown += [f"{file}: {text}" for text in _unknown(set(content) - _TOP, "the file")]
        for which in _LISTS:
            # The first file that has an entry wins, as with kubectl.
            for entry in _listed(file, which, content.get(which)).values():
                lists[which].setdefault(entry.name, entry)
        current = current or _text(file, "current-context", content.get("current-context"))
    name = context or current
    contexts = lists["contexts"]
    if name not in contexts:
        known = f"It has: {', '.join(contexts) or 'none'}."
        raise NoCluster(f"No context {name!r} in {source}. {known}" if name else f"{source} sets no context. {known}")
    chosen, told = _entry(Context, "context", contexts[name])
    cluster_entry = _of(lists["clusters"], "cluster", chosen.cluster, contexts[name])
    cluster, told_of_cluster = _entry(ClusterEntry, "cluster", cluster_entry)
    user_entry = _Named("", {}, contexts[name].file)
    if chosen.user:
        user_entry = _of(lists["users"], "user", chosen.user, contexts[name])
    user, told_of_user = _entry(User, "user", user_entry)
    unknown += [*told, *told_of_cluster, *told_of_user]
    return Chosen(name, source, cluster, cluster_entry.folder, user, chosen.user, user_entry.folder), unknown


def decoded(data: str) -> bytes:
    """The bytes of a `...-data` field. Raises ValueError, whose text holds nothing of it."""
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None


def _read(file: str) -> dict[str, Any]:
    try:
        documents = yamlfile.documents(untrusted.read_any(Path(file), LARGEST))
    except OSError as error:
        raise NoCluster(f"The kubeconfig {file} cannot be read: {error.strerror}") from error
    except yamlfile.NotYaml as error:
        # The parser's own words quote the line, which may hold a credential.
        where = f" (line {error.line})" if error.line else ""
        raise NoCluster(f"The kubeconfig {file} is not valid YAML{where}.") from None
    if len(documents) > 1:
        raise NoCluster(f"The kubeconfig {file} has {len(documents)} YAML documents: leave one.")
    content = (documents or [None])[0] or {}
    if not isinstance(content, dict) or content.get("kind") not in (None, "", "Config"):
        raise NoCluster(f"{file} is not a kubeconfig.")
    return content


def _text(file: str, field: str, given: Any) -> str:
    if given is not None and not isinstance(given, str):
        raise NoCluster(f"{file}: {field} is not text (quote it).")
    return given or ""


def _listed(file: str, which: str, given: Any) -> dict[str, _Named]:
    kind = which.removesuffix("s")
    if not isinstance(given, list | None):
        raise NoCluster(f"{file}: {which} is not a list.")
    found: dict[str, _Named] = {}
    for number, item in enumerate(given or ()):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise NoCluster(f"{file}: {which}[{number}] has no name that is text.")
        if name in found:
            raise NoCluster(f"{file} has two entries of {which} with the name {name!r}: rename one.")
        found[name] = _Named(name, {} if item.get(kind) is None else item[kind], file)
    return found


def _of(entries: dict[str, _Named], kind: str, name: str, context: _Named) -> _Named:
    if name not in entries:
        raise NoCluster(f"The context {context.name!r} of {context.file} names the {kind} {name!r}, which is nowhere.")
    return entries[name]


def _entry(model: type[E], kind: str, given: _Named) -> tuple[E, list[str]]:
    """(the entry, what is said of fields that nobody knows)."""
    where = f"{given.file}: {kind} {given.name!r}"
    try:
        entry = model.model_validate(given.content)
    except ValidationError as error:
        told = [
            (_place(found["loc"]), _plain(found["msg"]))
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        problems = "; ".join(dict.fromkeys(f"{place}: {said}" if place else said for place, said in told))
        raise NoCluster(f"{where} cannot be used: {problems}.") from None
    unknown = _unknown(set(entry.model_extra or ()), where)
    if isinstance(entry, User) and entry.plugin:
        unknown += _unknown(set(entry.plugin.model_extra or ()), f"exec of {where}")
    return entry, unknown


def _plain(message: str) -> str:
    """pydantic's words, in those of this project."""
    message = message.removeprefix("Value error, ").replace("Input should be", "should be")
    return re.sub(r"a valid dictionary( or instance of \w+)?", "a mapping", message)


def _place(loc: tuple[int | str, ...]) -> str:
    """Where a value is: the field, and its part if it is a plugin's. Deeper names can be a user's own words."""
    parts = [str(part) for part in loc if isinstance(part, str)]
    return ".".join(parts[: 2 if parts[:1] == ["exec"] else 1])


def _unknown(fields: set[Any], where: str) -> list[str]:
    # What is no name at all may be a value in a wrong place.
    names = sorted({field if _FIELD.fullmatch(str(field)) else "(no name of a field)" for field in fields}, key=str)
    return [f"{where} has a field that is not known and has no effect: {name}" for name in names]
