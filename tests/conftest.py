"""What holds for every test: who runs it, beside what, and how long the run's parts took."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.scopes import part, rank, scope
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

pytest_plugins = ["support.record", "support.share_of_cpu"]

# Machines that tests run on are shared: how long one example takes says nothing of the code.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


class ByLab(LoadScopeScheduling):
    """Gives whole scopes to workers, in the order of collection.

    The last worker begins with the last one: with what needs no lab, beside labs that wait.
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if node.gateway.id == f"gw{len(self.nodes) - 1}" != "gw0":
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByLab:
    config.option.loadscopereorder = False
    return ByLab(config, log)  # type: ignore[arg-type]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--check", metavar="ID", help="Only the tests of this check; implies --keep-lab.")
    parser.addoption(
        "--keep-lab", action="store_true", help="Run the checks on a lab that stays up from one call to the next."
    )
    parser.addoption(
        "--personas",
        metavar="NAMES|all|once",
        default="",
        help="Personas of the lab to run the checks on (tests/lab/test_personas.py).",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Sorting is stable: within a scope, tests keep their order.
    items.sort(key=lambda item: rank(item.nodeid))
    if check := config.getoption("check"):
        chosen = [item for item in items if _is_of(item, check)]
        if not chosen:
            raise pytest.UsageError(f"--check {check}: no test is of a check with this id")
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def _is_of(item: pytest.Item, check: str) -> bool:
    name = item.path.stem
    return name == f"test_{check}" or name.startswith("test_faults")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if phases := list(_phases()):
        terminalreporter.section("phases")
        for name, seconds in phases:
            terminalreporter.write_line(f"{name:<44} {seconds / 60:6.1f} min")


def _phases() -> Iterator[tuple[str, float]]:
    """What tests/all measured, then the tests by scope: seconds from their first to their last."""
    folder = os.environ.get("AICONFORM_TEST_RECORD")
    if not folder or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    for line in _lines(Path(folder) / "phases.jsonl"):
        yield line["phase"], line["seconds"]
    spans: dict[str, list[float]] = {}
    for line in _lines(Path(folder) / "tests-main.jsonl"):
        begin, end = line["at"] - line["seconds"], line["at"]
        span = spans.setdefault(part(line["test"]), [begin, end])
        span[:] = [min(span[0], begin), max(span[1], end)]
    for where, (begin, end) in spans.items():
        yield f"tests of {where}", end - begin


def _lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
