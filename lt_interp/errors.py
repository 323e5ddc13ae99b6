"""The one exception that tells a user what to do differently."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input from outside: a path, a name, a file's content, an option.

    Its message is one line that says what was wrong, what is allowed and what to do next. The
    command line prints that line and exits with status 2; a notebook sees a plain `ValueError`.
    """
