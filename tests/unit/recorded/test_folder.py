"""What is no folder of a recorded platform is refused with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiconform.recorded import BadFolder, RecordedPlatform

NODE = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "has no objects.yaml"),
        ({"objects.yaml": "a: [\n"}, "objects.yaml: line"),
        ({"objects.yaml": "kind: Node\n"}, "no API object with apiVersion and kind"),
        ({"objects.yaml": "apiVersion: v1\nkind: Node\n"}, "a Node has no metadata.name"),
        ({"objects.yaml": NODE, "api.yaml": "- a\n"}, "api.yaml: one mapping is expected"),
        ({"objects.yaml": NODE, "api.yaml": "serves: [{version: v1}]\n"}, "an entry without its fields"),
        ({"objects.yaml": NODE, "api.yaml": "refuses: [events]\n"}, "an entry without its fields"),
        ({"objects.yaml": NODE, "answers.yaml": "a: b\n"}, "answers.yaml: one list is expected"),
        ({"objects.yaml": NODE, "answers.yaml": "- {namespace: a}\n"}, "an entry without its fields"),
        ({"objects.yaml": NODE, "metrics/page.txt": ""}, "its name is not NAMESPACE__POD__PORT.txt"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(tmp_path: Path, files: dict[str, str], told: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(BadFolder, match=told.replace(".", r"\.")):
        RecordedPlatform.read(tmp_path)


def test_a_complete_recording_serves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "objects.yaml").write_text(NODE)
    (tmp_path / "api.yaml").write_text(
        "complete: true\nserves: [{version: v1, kind: Node, plural: nodes, namespaced: false}]\n"
    )
    platform = RecordedPlatform.read(tmp_path)
    assert [(each.api_version, each.kind) for each in platform.served] == [("v1", "Node")]
    assert [obj["kind"] for obj in platform.objects] == ["Node"]
