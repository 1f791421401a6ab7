"""Whether the memory that a container sees is that of the part of a device that it holds."""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check import Finding, holds, undecided
from aiconform.kit.inside import DeviceHolder

TOLERANCE = 0.1
"""How far what is seen may be from what is advertised: names of profiles are rounded, in other units than drivers use,
and drivers keep some memory for themselves."""
WAY_OUT = (
    "name a file under /proc or /sys, or a program that is injected with it (--set {check}.memory=...), and if the "
    "program needs a C library, an image that has one (--set {check}.image=IMAGE)"
)


def judged_size(share: DeviceHolder, whole: float, check: str) -> tuple[bool | None, str]:
    """(whether a container sees the memory of what it holds, None if that cannot be told; what it sees).

    whole: the memory of the complete device, 0 if not known. check: whose options are the way out.
    """
    way_out = WAY_OUT.format(check=check)
    sizes = sorted({size.bytes for size in share.sizes})
    if not sizes:
        return None, f"nothing in the container shows its memory: {way_out}"
    told = ", ".join(f"{amount(size.bytes)} in {size.source}" for size in share.sizes)
    if len(sizes) > 1:
        return None, f"the container sees more than one size, {told}: {way_out}"
    (size,) = sizes
    advertised = f"{share.asked} is advertised with {amount(share.memory)}, and a container sees {told}"
    if share.memory:
        fits = abs(size - share.memory) <= TOLERANCE * share.memory
        # Otherwise the complete device's would do as well.
        distinct = not whole or whole <= share.memory or size < whole
        return fits and distinct, advertised
    if not whole:
        return None, f"what {share.asked} should have is advertised nowhere; a container sees {told}"
    return size < whole * (1 - TOLERANCE), f"the complete device has {amount(whole)}, and a container sees {told}"


def sizes_are_their_own(
    running: Sequence[DeviceHolder], whole: float, *, check: str, about: str, device: str
) -> Finding:
    """Whether each of these Pods sees the memory of what it holds, as `judged_size`.

    about: what is judged, in words; device: what `whole` is of.
    """
    judged = [(f"{about}: {each.pod}: ", *judged_size(each, whole, check)) for each in running]
    for where, own, words in judged:
        if own is False:
            return holds(False, f"{where}{words}", subjects=len(running))
    if unknown := next((where + words for where, own, words in judged if own is None), ""):
        return undecided(unknown)
    where, _, words = judged[0]
    compared = f"; {device} has {amount(whole)}" if whole else ""
    return holds(True, f"{where}{words} (within {TOLERANCE:.0%}){compared}", subjects=len(running))


def amount(size: float) -> str:
    """Bytes for people."""
    return f"{size / 2**30:.2f} GiB"
