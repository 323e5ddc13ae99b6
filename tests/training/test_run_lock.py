"""Two processes never train into one folder, and a killed one stands in nobody's way."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lt_interp.errors import InputError
from lt_interp.training.run_lock import run_lock

HOLD = """
import sys, time
from pathlib import Path
from lt_interp.training.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process is training into"), run_lock(tmp_path):
        pass
    first.send_signal(signal.SIGKILL)
    first.wait()
    with run_lock(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_it_is_let_go_when_the_run_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path):
        raise ZeroDivisionError
    with run_lock(tmp_path):
        pass
