"""Recorded platforms: a folder of what a platform's API server answered, and a server that answers it again."""

from aiconform.recorded.folder import BadFolder, Page, RecordedPlatform
from aiconform.recorded.server import replaying

__all__ = ["BadFolder", "Page", "RecordedPlatform", "replaying"]
