"""The rules, one module for each thing they look at; a module has RULES and one function that applies them.

P-… rules are the programme's (its validator's errors and warnings), F-… rules go beyond them.
"""

from __future__ import annotations

from aiconform.certify.findings import Rule, catalogue
from aiconform.certify.rules import artifacts, claims, corpus, evidence, form, metadata, programme, runs

BEYOND = (form, metadata, claims, evidence, artifacts, runs)
CATALOGUE: dict[str, Rule] = catalogue(rule for module in (programme, *BEYOND, corpus) for rule in module.RULES)
