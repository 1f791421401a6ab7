"""The utilization of a node's accelerators as an exporter gives it at one time, and what it says of their Pods."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from aiconform.checks.accelerator_metrics.observations import MARGIN
from aiconform.platform.monitoring.readings import Readings, each_once


@dataclass(frozen=True)
class Page:
    """What the exporter says at one time; `problem` says why it could not be read."""

    readings: tuple[Readings, ...] = ()
    problem: str = ""

    @cached_property
    def utilization(self) -> dict[str, float]:
        """By label, in percent."""
        found = {each.label: each.value("utilization") for each in self.readings if each.label}
        return {label: value for label, value in found.items() if value is not None}

    @property
    def samples(self) -> tuple[str, ...]:
        """The samples of utilization as the exporter wrote them."""
        return tuple(str(sample) for each in self.readings for sample in each.samples_of("utilization"))

    def of_pod(self, name: str) -> str:
        """The label of the one device that names this Pod (NAMESPACE/NAME); empty if none or several do."""
        found = [each.label for each in self.readings if each.label and name in each.pods]
        return found[0] if len(found) == 1 else ""

    def of_others(self, *names: str) -> set[str]:
        """The labels of devices that name Pods besides these."""
        return {each.label for each in self.readings if each.pods - set(names)}

    def alike(self, label: str) -> list[Readings]:
        """The readings to compare with this device: those that number devices as its own do.

        Without a label, each device once.
        """
        levels = {each.is_container_level for each in self.readings if each.label == label}
        found = self.readings if levels and label else each_once(self.readings)
        return [each for each in found if each.label and (not label or not levels or each.is_container_level in levels)]

    def compared(self, label: str) -> dict[str, float]:
        """The utilization of the devices that are compared with this one, and its own."""
        labels = {each.label for each in self.alike(label)}
        return {name: value for name, value in self.utilization.items() if name in labels}

    def beside(self, label: str) -> list[str]:
        """The labels of the other devices."""
        return [each.label for each in self.alike(label) if each.label != label]


UNREAD = Page(problem="it was not read")


def rose(before: Page, now: Page, labels: Collection[str]) -> bool:
    """Whether the utilization of one of these devices is above what it was."""
    return any(
        label in now.utilization and now.utilization[label] - before.utilization.get(label, 0.0) >= MARGIN
        for label in labels
    )


def ended(after: Page, during: Page) -> dict[str, float]:
    """The utilization after the load. What is reported only of devices in use ends with it: that is 0."""
    gone = [each.label for each in during.readings if each.label and each.is_only_in_use("utilization")]
    return {} if after.problem else {**dict.fromkeys(gone, 0.0), **after.utilization}


def fell(before: Page, now: Page, during: Page, labels: Collection[str]) -> bool:
    """Whether the utilization of these devices is reported and what it was before the load, whose page is `during`."""
    values = ended(now, during)
    return all(label in values for label in labels) and not rose(before, now, labels)
