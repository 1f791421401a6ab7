"""The rules as a whole: every module has them in one form, and every rule has one home."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from pkgutil import iter_modules

import pytest
from support.certify_material import product, write

from aiconform.certify import rules
from aiconform.certify.context import Context
from aiconform.certify.corpus import Corpus
from aiconform.certify.examined import Examined
from aiconform.certify.rules import loading

MODULES = {module.__name__.rpartition(".")[2]: module for module in rules.MODULES}


def test_every_module_is_applied() -> None:
    assert {module.name for module in iter_modules(rules.__path__)} == set(MODULES)


def test_a_rule_has_one_home() -> None:
    every = [rule.id for module in rules.MODULES for rule in module.RULES]
    assert [name for name, count in Counter(every).items() if count > 1] == []
    assert set(every) == set(rules.CATALOGUE)
    assert all(re.fullmatch(r"[PF](-[a-z0-9]+)+", name) for name in every)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_reports_its_own_rules_alone(tmp_path: Path, name: str) -> None:
    data = product(
        metadata={"platformName": None, "kubernetesVersion": "v1.36", "platfromName": "x", "vendorName": "Other"},
        gang_scheduling={"status": "N/A", "evidence": ["", "gone", "https://platform.test/latest/"], "level": "SHOULD"},
        robust_controller={"status": ["Implemented"]},
        ai_inference={"notes": "It does not provide a gateway.", "evidence": ["e2e.log"]},
    )
    examined = loading.examined(write(tmp_path, json.dumps(data), e2e__log="--- SKIP: TestX (0.0s)\n"), None)
    assert isinstance(examined, Examined)
    context = Context(examined, Corpus([examined]), frozenset({"Test Vendor"}), {"https://platform.test/": "gone"})
    found = {problem.rule for problem in MODULES[name].check(context)}
    assert found <= {rule.id for rule in MODULES[name].RULES}
    assert found or name in ("originality", "runs", "certificate")
