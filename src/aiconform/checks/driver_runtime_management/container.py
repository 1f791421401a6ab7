"""What a container is asked for, and where in its answer the version of the driver is.

It runs no vendor's tool: a tool may report the version of the image that it is in.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Literal

from aiconform.checks.driver_runtime_management.observations import LONGEST, Found
from aiconform.kit.container_view import View, decoded, is_in, look_script
from aiconform.platform.accelerators.drivers import Family, simulated_kernel
from aiconform.platform.accelerators.versions import parse

# A version is at the beginning of a file, if it is in there.
_BYTES = 4096
# In a module's taint: it is no part of the kernel. https://docs.kernel.org/admin-guide/tainted-kernels.html
_OUT_OF_TREE = "O"
# The file with the kernel's own version.
_RELEASE = "/proc/sys/kernel/osrelease"
# In a file that the user names: the first word with a digit.
_ANY = r"(\S*\d\S*)"
# Prints the content of files and the folders of kernel modules, one per line.
_READ = """
for file in $FILES; do
  [ -r "$file" ] && echo "file $file $(timeout 5 head -c {bytes} "$file" | base64 | tr -d '\\n')"
done
for folder in $FOLDERS; do
  [ -d "$folder" ] && echo "folder $folder"
done
"""
# Prints the libraries in mounts, and what each links to. A mount can be a file system of any size.
_LIBRARIES = """
awk '{print $5}' /proc/self/mountinfo | while read -r point; do
  case "$point" in
    / | /proc* | /dev* | /sys* | /etc/* | */secrets/*) ;;
    *) timeout 5 find "$point" -xdev -name '*.so*' 2>/dev/null | head -n 2000 ;;
  esac
done | while read -r path; do echo "library $path $(readlink -f "$path")"; done
"""


def kernel_root(*, simulated: bool) -> str:
    """Before /proc and /sys in a container: of simulated devices, these files are in a folder that says so."""
    return simulated_kernel() if simulated else ""


def find_script(family: Family, root: str, file: str = "") -> str:
    """What a container with a device runs. file: a further one to read."""
    files = [*_kernel_paths(family, root), *_taints(family, root), *family.files, *([file] if file else [])]
    variables = f"FILES={shlex.quote(' '.join(files))}\nFOLDERS={shlex.quote(' '.join(_folders(family, root)))}\n"
    libraries = _LIBRARIES if family.libraries else ""
    return f"{variables}{_READ.format(bytes=_BYTES)}{libraries}{look_script()}"


def _folders(family: Family, root: str) -> list[str]:
    return [f"{root}/sys/module/{module}" for module in family.modules]


def _taints(family: Family, root: str) -> dict[str, str]:
    """Files that tell whether a module is part of the kernel -> the folder of the module."""
    return {f"{folder}/taint": folder for folder in _folders(family, root)} if family.in_kernel else {}


def _kernel_paths(family: Family, root: str) -> dict[str, str]:
    """Files of the kernel module -> regular expression with the version."""
    own = {f"{folder}/version": r"(\S+)" for folder in _folders(family, root)}
    return own | {root + path: pattern for path, pattern in family.kernel_files.items()}


def find(
    family: Family, root: str, lines: Iterable[str], holder: View, control: View, file: str = ""
) -> tuple[Found, ...]:
    """The versions of the driver in what the container with a device printed."""
    files: dict[str, str] = {}
    folders, libraries = set(), []
    for line in lines:
        kind, _, rest = line.partition(" ")
        path, _, value = rest.partition(" ")
        if kind == "file":
            # Names of libraries come later, and a line break in one does not change what a file has.
            files.setdefault(path, decoded(value))
        elif kind == "folder":
            folders.add(path)
        elif kind == "library":
            libraries.append((path, value))
    mounts = {*holder.mounts} - {*control.mounts}
    found = [
        Found(kind="module", path=path, version=version)
        for path, pattern in _kernel_paths(family, root).items()
        for version in _versions(pattern, files.get(path, ""))
    ]
    in_kernel = [
        folder
        for taint, folder in _taints(family, root).items()
        if folder in folders and _OUT_OF_TREE not in files.get(taint, "")
    ]
    if holder.release:
        found += [Found(kind="kernel", path=folder, version=holder.release) for folder in in_kernel[:1]]
    for path, pattern in family.files.items():
        if is_in(path, mounts):
            found += [
                Found(kind="injected", path=path, version=each) for each in _versions(pattern, files.get(path, ""))
            ]
    for path, resolved in libraries:
        if is_in(path, mounts):
            found += _library(family, path, resolved)
    if not any(each.kind != "kernel" and parse(each.version) for each in found):
        found += [
            Found(kind=kind, path=file, version=version)
            for kind in _kind_of(file, mounts)
            for version in _versions(_ANY, files.get(file, ""))
        ]
    return tuple(dict.fromkeys(found))


def _kind_of(file: str, mounts: Iterable[str]) -> Iterator[Literal["module", "kernel", "injected"]]:
    """What a file that the user names is; nothing if it is the image's own."""
    if file == _RELEASE:
        yield "kernel"
    elif file.startswith(("/proc/", "/sys/")):
        yield "module"
    elif is_in(file, mounts):
        yield "injected"


def _library(family: Family, path: str, resolved: str) -> list[Found]:
    """The version in a library's name, or in that of the file that it links to."""
    names = dict.fromkeys(each.rpartition("/")[2] for each in (resolved or path, path))
    versions = [version for name in names for pattern in family.libraries for version in _whole(pattern, name)]
    return [Found(kind="injected", path=path, version=version) for version in versions[:1]]


def _versions(pattern: str, text: str) -> Iterator[str]:
    found = re.search(pattern, text)
    if found:
        yield found[1][:LONGEST]


def _whole(pattern: str, text: str) -> Iterator[str]:
    found = re.fullmatch(pattern, text)
    if found:
        yield found[1]
