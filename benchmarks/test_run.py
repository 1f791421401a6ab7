"""Where the minutes of a test run went.

    ./dev test; ./dev python benchmarks/test_run.py [DIR]

Reads what `./dev test` recorded (`.test-run` by default) and prints: the phases; the scopes and how many seconds of
each were commands (lab up and down, add-ons, faults, runs, judging) and how many the tests themselves; the CPU time by
program, of both cores, with what was idle; and the slowest tests.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SLOWEST = 25
LARGEST = 30


def lines(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob(f"{kind}*.jsonl")):
        yield from map(json.loads, file.read_text().splitlines())


def kind_of(command: list[str]) -> str:
    """What a command does, in a word or two."""
    if command[:2] == ["lab", "up"] and "--with" in command:
        return "lab up --with"
    if command[:2] == ["lab", "up"] and "--without" in command:
        return "lab up --without"
    return " ".join(command[:2] if command[0] == "lab" else command[:1])


def table(title: str, rows: Sequence[tuple[str, float]], unit: str = "s") -> None:
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {value:>8.1f} {unit}  {name}")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".test-run")
    if not folder.is_dir():
        sys.exit(f"{folder}: no such folder; `./dev test` makes it")
    table("Phases", [(line["phase"], line["seconds"]) for line in lines(folder, "phases")])
    tests: Counter[str] = Counter()
    places: dict[str, list[float]] = defaultdict(list)
    for line in lines(folder, "tests"):
        tests[line["test"]] += line["seconds"]
        place = "/".join(line["test"].partition("::")[0].split("/")[:-1])
        places[place] += [line["at"] - line["seconds"], line["at"]]
    table("Tests by folder, from the first to the last", [(name, max(at) - min(at)) for name, at in places.items()])
    commands: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for line in lines(folder, "commands"):
        commands[kind_of(line["command"])] += line["seconds"]
        count[kind_of(line["command"])] += 1
    table("Commands of lab tests", [(f"{name} ({count[name]} times)", spent) for name, spent in commands.most_common()])
    if samples := list(lines(folder, "machine")):
        total = samples[-1]["total"]
        table("CPU seconds of the machine", sorted(total.items(), key=lambda item: -item[1]))
        found = Counter(samples[-1]["cpu"])
        attributed = sum(found.values())
        rest = total["user"] + total["system"] - attributed
        rest_of_system = total["system"] - sum(samples[-1]["system"].values())
        rows = [
            *(
                (f"{name}, {samples[-1]['system'][name]:.1f} s in the kernel", spent)
                for name, spent in found.most_common(LARGEST)
            ),
            (f"programs that ended between two looks, {rest_of_system:.1f} s in the kernel", rest),
        ]
        table("CPU seconds by program", rows)
    table("Slowest tests", tests.most_common(SLOWEST))


if __name__ == "__main__":
    main()
