"""The guard for files of strangers: limits that hold before anything is read, and one exception for what they refuse.

Run directories, bundles, archives, submissions, recorded platforms and folders of requirements come from people that
nobody here knows. Every command that reads them reads through this package.
"""

from __future__ import annotations

from aiconform.untrusted.files import LARGEST, MOST_FILES, digest, opened, plain_files, read, read_any
from aiconform.untrusted.refused import CAUSED_BY_CONTENT, Refused
from aiconform.untrusted.values import json_value, refuse_depth

__all__ = [
    "CAUSED_BY_CONTENT",
    "LARGEST",
    "MOST_FILES",
    "Refused",
    "digest",
    "json_value",
    "opened",
    "plain_files",
    "read",
    "read_any",
    "refuse_depth",
]
