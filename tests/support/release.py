"""A package index with another release of this project, as far as `judge` is concerned."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

# It judges what it cannot have made as well; what it says is what the test wants it to say.
_MAIN = """
import json, pathlib, sys
assert sys.argv[1] == "judge" and sys.argv[3:] == ["-o", "json"], sys.argv
report = json.loads((pathlib.Path(sys.argv[2]) / "report.json").read_text())
answer = {"run": report["run"], "agrees": True, "differences": [], "unread": [], "notes": [], "report": report}
answer.update(json.loads(%r))
print(json.dumps(answer))
"""


def write_release(folder: Path, version: str, answer: str = "{}") -> dict[str, str]:
    """Write the wheel; `answer` is JSON of what its `judge` says otherwise.

    Returns the variables by which uv and pip find it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"aiconform-{version}"
    about = f"{name}.dist-info"
    files = {
        "aiconform/__init__.py": "",
        "aiconform/__main__.py": _MAIN % answer,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: aiconform\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return {
        f"{tool}_{name}": value
        for tool in ("PIP", "UV")
        for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(folder)))
    }
