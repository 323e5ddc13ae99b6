"""TransformerLens's own tests: fetched from the package index, checked, unpacked into a cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "4.3.0"
ARCHIVE = f"transformer_lens-{VERSION}.tar.gz"
SHA256 = "a2adcad2daf3dcc000ab5ca3acc6883a1f602410fe47e794a853c754705783db"
CACHE = Path(__file__).resolve().parents[2] / ".compat"


class SdistError(Exception):
    """The source distribution cannot be had, or is not the one that was expected."""


def unpacked_tests(cache: Path = CACHE) -> Path:
    """The folder that holds TransformerLens's `tests`, fetched if it is not in the cache.

    Raises:
        SdistError: The package index cannot be reached, or hands out another file.
    """
    archive = cache / ARCHIVE
    if not archive.is_file():
        download(cache)
    if not archive.is_file() or hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise SdistError(f"{archive} is not the file of sha256 {SHA256[:12]}...; delete it")
    folder = cache / f"transformer_lens-{VERSION}"
    if not folder.is_dir():
        unpack(archive, folder)
    return folder


def download(cache: Path) -> None:
    """Ask pip for the source distribution, from whichever index it is set up to use."""
    cache.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-binary=transformer-lens", "--dest", str(cache)]
    done = subprocess.run(
        [*command, f"transformer-lens=={VERSION}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise SdistError(f"pip could not fetch {ARCHIVE}: {' '.join(last)}")


def unpack(archive: Path, folder: Path) -> None:
    """Take the Python files under `tests` out; they appear all at once or not at all."""
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = member.name.partition("/")[2]
            if member.isfile() and inside.startswith("tests/") and inside.endswith(".py"):
                member.name = inside
                tar.extract(member, temporary, filter="data")  # refuses paths that lead outside
    temporary.rename(folder)


if __name__ == "__main__":
    try:
        unpacked_tests()
    except SdistError as error:
        sys.exit(f"{error}; what needs them is skipped")
