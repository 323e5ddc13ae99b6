"""Other libraries' notices, silenced: they would stand between our lines and our bars."""

from __future__ import annotations

import logging
import os
import sys
import warnings

# Read by the libraries when they are imported, which no command does before it runs.
_SILENCE = {
    "DATASETS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",  # set at all, it stops a warning about forked processes
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def quiet_libraries() -> None:
    """Show only errors of libraries, and only our own warnings; what the user set himself stays."""
    for name, value in _SILENCE.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    logging.getLogger("lt_interp").setLevel(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        # A character that a terminal cannot show is written as its code instead of failing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
