"""What stays together on one worker of a test run, and in which order scopes are given to workers."""

from __future__ import annotations

from pathlib import PurePath

# The files of each share a lab.
_CHECKS, _OTHERS = "tests/lab/checks/", "tests/lab/"
# Files there whose labs are their own. The longest first, but the one with most nodes not beside the start of another.
_OF_THEIR_OWN = (
    *("tests/lab/test_strict_clusters.py", "tests/lab/test_personas.py", "tests/lab/test_virtual_ways.py"),
    *("tests/lab/test_sharing_ways.py", "tests/lab/checks/test_faults_of_nodes.py", "tests/lab/test_ipv6.py"),
    *("tests/lab/test_platforms.py", "tests/lab/test_add_ons.py", "tests/lab/test_denied_traffic.py"),
    "tests/lab/test_driver_versions.py",
)
# Without a cluster; they fill the gaps at the end.
_WITHOUT = ("tests/browser", "tests/package", "tests/sigstore")
_ORDER = (_CHECKS, _OTHERS, *_OF_THEIR_OWN, *_WITHOUT)


def scope(nodeid: str) -> str:
    """The tests of a lab, or of one file."""
    file = nodeid.partition("::")[0]
    if file in _OF_THEIR_OWN:
        return file
    return next((folder for folder in (_CHECKS, _OTHERS) if file.startswith(folder)), file)


def part(nodeid: str) -> str:
    """A scope with a lab, or a folder of tests that need none."""
    found = scope(nodeid)
    return found if found.startswith("tests/lab/") else "/".join(PurePath(found).parts[:2])


def rank(nodeid: str) -> int:
    """The place of the test's scope in the order."""
    found = part(nodeid)
    return _ORDER.index(found) if found in _ORDER else len(_ORDER)
