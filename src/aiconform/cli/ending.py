"""How the command ends. Exit code 1 means "not conformant" and nothing else, so no defect may end with it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

import click

WRONG = 2
INTERRUPTED = 130
OUTPUT_CLOSED = 141
"""Nobody reads the output any more: what shells report of a program that SIGPIPE ends."""
DEBUG = "AICONFORM_DEBUG"
"""Environment variable: if set, the trace of a defect goes to standard error and not to a file."""


class Ended(SystemExit):
    """A command ends with a code of its own choice. Any other SystemExit with code 1 comes from a defect."""


def end(code: int) -> NoReturn:
    """End the command with this exit code."""
    raise Ended(code)


@contextlib.contextmanager
def own_code_for_closed_output() -> Iterator[None]:
    """click ends with 1 when nobody reads its output any more; this is asked first."""
    try:
        yield
    except BrokenPipeError:
        _discard_output()
        end(OUTPUT_CLOSED)


def exit_code(call: Callable[[], object]) -> int:
    """Call a command, say what went wrong, and return the code to exit with. A result that is a number is the code."""
    _open_closed_streams()
    _write_every_character()
    try:
        code = _code(call)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _output_closed()
    except OSError as error:
        code = _cannot_go_on(error)
    return code


def _open_closed_streams() -> None:
    """Let a standard stream that was closed from the start (`>&-`) lead nowhere: Python has None in its place.

    Otherwise, the next file that is opened would get its number, and a program that is started would write to it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _write_every_character() -> None:
    """Let what the terminal's encoding lacks be written as an escape, such as \\u2026.

    Names of a cluster can be in any script. Otherwise they would end a command after its work, as if by a defect.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _code(call: Callable[[], object]) -> int:
    try:
        result = call()
    except BrokenPipeError:
        return _output_closed()
    except click.ClickException as error:
        error.show()
        # click has 1 for what has no code of its own.
        return WRONG if error.exit_code == 1 else error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return INTERRUPTED
    except SystemExit as error:
        return _exited(error)
    except OSError as error:
        return _cannot_go_on(error)
    except UnicodeEncodeError as error:
        return _no_text(error)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not end as a verdict
        return _defect(error)
    return result if isinstance(result, int) else 0


def _exited(error: SystemExit) -> int:
    if error.code is None or isinstance(error, Ended) or (isinstance(error.code, int) and error.code != 1):
        return int(error.code or 0)
    return _defect(error)


def _cannot_go_on(error: OSError) -> int:
    """Most such errors are the machine's: a full disk, a folder without permission."""
    _say(f"cannot go on: {error}. {_kept(error)}")
    _discard_output()
    return WRONG


def _no_text(error: UnicodeEncodeError) -> int:
    """Arguments and names of files can hold bytes that are no text, which Python keeps as surrogates."""
    part = error.object[error.start : error.end]
    if not all("\ud800" <= character <= "\udfff" for character in part):
        return _defect(error)
    _say(f"cannot go on: an argument or a name holds what is no text ({part!a}).")
    return WRONG


def _defect(error: BaseException) -> int:
    words = f"{type(error).__name__}: {error}".strip(": ")
    _say(f"a defect of aiconform or of an extension ended this command, which says nothing of a platform: {words}.")
    _say(f"{_kept(error)} Please report it.")
    return WRONG


def _kept(error: BaseException) -> str:
    """Keep the trace, and say where it is."""
    trace = "".join(traceback.format_exception(error))
    if not os.environ.get(DEBUG):
        with contextlib.suppress(OSError):
            with tempfile.NamedTemporaryFile(prefix="aiconform-trace-", suffix=".txt", delete=False) as file:
                file.write(trace.encode("utf-8", "backslashreplace"))
            return f"The trace is in {file.name} ({DEBUG}=1 prints it)."
    _say(trace)
    return "The trace is above."


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"aiconform: {text}", err=True)


def _output_closed() -> int:
    _discard_output()
    return OUTPUT_CLOSED


def _discard_output() -> None:
    """Let what is still buffered go nowhere: at the end of the process Python would fail on it again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
