"""Run the notebooks of this folder and save them with what they show: `make notebook`.

A saved notebook is the same whoever ran it: no times, no addresses in memory, no random ids. It
carries the hash of the source that gave its outputs.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parent
SECONDS = 300  # that one cell may take
COLOURS = 256  # of a saved picture: half the size of one in all colours
# CircuitsVis gives its drawings random ids.
RANDOM_ID = re.compile(r"circuits-vis-[0-9a-f-]{13}")
# What stands for an object that has no text: a class and an address, or a figure's size.
NO_TEXT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>|<[\w.]+\.HTML object>|<\w*Figure size [^>]*>")


def execute(notebook: NotebookNode, folder: Path = FOLDER) -> NotebookNode:
    """Run a notebook from the first cell to the last in a fresh kernel.

    Args:
        notebook: As `nbformat` reads it; it gets the new outputs.
        folder: Where it runs.

    Returns:
        The same notebook.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised an error; its text is in the message.
    """
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
    )
    return client.execute()


def source_sha256(notebook: NotebookNode) -> str:
    """Of every cell's kind and text, without what it shows."""
    cells = [f"{cell.cell_type}\n{cell.source}\n" for cell in notebook.cells]
    return hashlib.sha256("".join(cells).encode()).hexdigest()


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Take out of a notebook what differs from one run to the next, and what is empty."""
    notebook.metadata.language_info = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    notebook.metadata.executed_source_sha256 = source_sha256(notebook)
    for place, cell in enumerate(notebook.cells):
        cell.metadata = {}
        if cell.cell_type == "code":
            for output in cell.outputs:
                _tidy_output(output, place)
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    return notebook


def _tidy_output(output: NotebookNode, place: int) -> None:
    data = output.get("data", {})
    if "text/html" in data:
        data["text/html"] = RANDOM_ID.sub(f"circuits-vis-{place}", data["text/html"])
    if "image/png" in data:
        data["image/png"] = _smaller(data["image/png"])
    text = data.get("text/plain")
    if text == "" or (text and len(data) > 1 and NO_TEXT.fullmatch(text)):
        del data["text/plain"]


def _smaller(png: str) -> str:
    """A picture in few colours, both in base64."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P":
        return png
    buffer = io.BytesIO()
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        buffer, "png", optimize=True
    )
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or sorted(FOLDER.glob("*.ipynb"))):
        nbformat.write(tidy(execute(nbformat.read(path, as_version=4))), path)
