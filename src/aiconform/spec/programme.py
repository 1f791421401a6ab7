"""What the public programme says of a requirement: https://github.com/cncf/k8s-ai-conformance."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from aiconform.spec.words import Digest, FileModel, Text, Url


class SuiteTest(FileModel):
    """A test of the programme's suite that is newer than what the programme maps requirements to."""

    name: Annotated[str, StringConstraints(pattern=r"^Test[A-Za-z0-9]+$")]
    since: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}$")]
    """The month in which it was proposed."""
    source: Url


class Programme(FileModel):
    """What the public programme calls things that belong to the requirement."""

    test: Annotated[str, StringConstraints(pattern=r"^Test[A-Za-z0-9]+$")] | None = None
    """The test of the programme's suite to which it maps the requirement."""
    suite: tuple[SuiteTest, ...] = ()
    """Its tests about the requirement to which nothing is mapped yet."""
    keywords: tuple[Text, ...] = ()
    """Parts of words, in small letters, by which notes and test names show that they are about it."""
    descriptions: tuple[Digest, ...] = ()
    """sha256 of its description on the released checklists, each run of white space made one blank."""
