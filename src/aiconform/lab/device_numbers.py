"""The numbers of the simulated accelerators' device nodes: character devices that any Linux has.

Containers may not open them by default. The lab counts them in slots. The first are the virtual consoles tty10 to
tty63; the others are the memory of these consoles (vcsa and vcsu), which exists once its console has been opened.
"""

from __future__ import annotations

from collections.abc import Collection

FIRST, LAST = 10, 171
"""The first and the last slot."""
_LAST_CONSOLE = 63
_TERMINALS, _CONSOLE_MEMORY = 4, 7  # majors
# What Linux adds to a console's number: vcsu and vcsa, in drivers/tty/vt/vc_screen.c.
_UNICODE, _WITH_ATTRIBUTES = 64, 128


def number(slot: int) -> tuple[int, int]:
    """(major, minor) of a slot from FIRST to LAST."""
    if slot <= _LAST_CONSOLE:
        return _TERMINALS, slot
    beyond, console = divmod(slot - _LAST_CONSOLE - 1, _LAST_CONSOLE - FIRST + 1)
    return _CONSOLE_MEMORY, (_WITH_ATTRIBUTES, _UNICODE)[beyond] + FIRST + console


def console(major: int, minor: int) -> tuple[int, int] | None:
    """The number of the console that has to be opened before this device exists; None for all other devices."""
    return (_TERMINALS, minor % _UNICODE) if major == _CONSOLE_MEMORY else None


def first_free(needed: int, *taken: Collection[int]) -> int:
    """The first of `needed` consecutive slots that are not in the first of `taken`, or else not in the next of them.

    If there are none, nodes share slots, and those of each node still differ.
    """
    for slots in taken:
        for first in range(FIRST, LAST - needed + 2):
            if not any(first + slot in slots for slot in range(needed)):
                return first
    return FIRST
