"""What stays together on one worker of a test run, and in which order scopes are given to workers."""

from __future__ import annotations

from pathlib import PurePath

_ORDER = (
    # Folders, each with a lab that its files share, and files with labs of their own.
    *("tests/lab/checks/test_faults.py", "tests/lab/checks/", "tests/lab/test_strict_clusters.py", "tests/lab/"),
    # Its many nodes are busy enough without another lab that starts.
    "tests/lab/test_personas.py",
    *("tests/lab/test_sharing_ways.py", "tests/lab/test_virtual_ways.py", "tests/lab/test_add_ons.py"),
    *("tests/lab/checks/test_faults_of_nodes.py", "tests/lab/test_ipv6.py", "tests/lab/test_denied_traffic.py"),
    *("tests/lab/test_platforms.py", "tests/lab/test_driver_versions.py"),
    # Without a cluster; they fill the gaps at the end.
    *("tests/browser", "tests/package", "tests/sigstore"),
)
"""The longest first."""


def scope(nodeid: str) -> str:
    """The tests of a lab, or of one file."""
    file = nodeid.partition("::")[0]
    folders = (place for place in _ORDER if place.endswith("/") and file.startswith(place))
    return file if file in _ORDER else next(folders, file)


def part(nodeid: str) -> str:
    """A scope with a lab, or a folder of tests that need none."""
    found = scope(nodeid)
    return found if found.startswith("tests/lab/") else "/".join(PurePath(found).parts[:2])


def rank(nodeid: str) -> int:
    """The place of the test's scope in the order."""
    found = part(nodeid)
    return _ORDER.index(found) if found in _ORDER else len(_ORDER)
