"""How a command ends: the exit status and the one line that goes with it.

0 done; 2 bad input, as for an unknown option; 1 the machine refused (disk full, no permission);
130 interrupted by Ctrl-C. A traceback means a fault in this program.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

from lt_interp.cli.console import note
from lt_interp.errors import InputError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class ExitStatus(TyperGroup):
    """The root of all commands, where every failure of one becomes a line and a status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for.

        Raises:
            typer.Exit: It failed; the line is on standard error already.
        """
        try:
            value = super().invoke(ctx)
            if sys.stdout:  # there is none where it was closed before the start
                sys.stdout.flush()  # a full disk or a closed pipe shows here, not after the end
        except InputError as error:
            raise _exit(str(error), BAD_INPUT) from None
        except KeyboardInterrupt:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _forget_output()
            raise typer.Exit(FAILED) from None
        except OSError as error:
            _forget_output()
            named_too_long = error.errno == errno.ENAMETOOLONG
            raise _exit(_reason(error), BAD_INPUT if named_too_long else FAILED) from None
        return value


def _exit(message: str, status: int) -> typer.Exit:
    line = " ".join(message.split())
    # what a file is called or holds may be anything, also what moves a terminal's cursor
    note(f"error: {''.join(c if c.isprintable() else ascii(c)[1:-1] for c in line)}")
    return typer.Exit(status)


def _reason(error: OSError) -> str:
    """What the system refused, and on which file."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _forget_output() -> None:
    """Send what is still in the buffer nowhere: written at exit, it would fail once more."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
