"""The JSON Schema of a requirement file, for editors and other tools. It is generated: the model is the source."""

from __future__ import annotations

import json
from pathlib import Path

from aiconform.spec.model import Requirement

# The committed copy, kept equal to the model by a test and renewed with `aiconform spec schema > …`.
SCHEMA_FILE = Path(__file__).parent / "requirement.schema.json"


def schema_text() -> str:
    """The schema as JSON text, JSON Schema 2020-12."""
    schema = Requirement.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
