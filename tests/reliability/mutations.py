"""What a seed does to a good input: damage by chance, and what somebody would do on purpose."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lt_interp.methods.result import RESULT, _sha256
from lt_interp.training.run_folder import WEIGHTS

from .columns import columns_of, fill_column
from .hostile import HOSTILE
from .strangers import Tensors, change_weights

HUGE = 2**40
TRICKS: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, "", "x", "../../../../evil",
    "/etc/passwd", "a\x00b", "\u202etxt.exe", "<script>alert(1)</script>", "{{ 7 * 7 }}", "\ud800",
    "w" * 100_000, [], {}, [[]], {"a": {"b": []}}, [1, "1", None],
)  # fmt: skip


def mutate(folder: Path, rng: random.Random) -> str:
    """Change a folder's files in place.

    Returns:
        What was done, in words.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = rng.choice(files)
    kinds: list[Callable[[Path, random.Random], str]] = [_bytes, _bytes, _bytes, _place]
    if path.suffix == ".json":
        kinds += [_json] * 6
    if path.suffix == ".safetensors":
        kinds += [_safetensors] * 4
    if path.name == WEIGHTS:
        kinds += [_vouched] * 4
    if path.name == RESULT:
        kinds += [_column] * 3
    if path.suffix == ".pt":
        kinds += [_pt] * 4
    if path.suffix in (".txt", ".jsonl", ".bpe"):
        kinds += [_text] * 3
    said = rng.choice(kinds)(path, rng)
    return f"{path.relative_to(folder)}: {said}"


def _bytes(path: Path, rng: random.Random) -> str:
    """Damage as disks and networks do it."""
    data = bytearray(path.read_bytes())
    place = rng.randrange(max(len(data), 1))
    kind = rng.choice(("cut", "flip", "zero", "ones", "insert", "repeat", "delete", "append"))
    length = rng.choice((1, 8, 100, 5000))
    if kind == "cut":
        del data[place:]
    elif kind == "flip":
        for _ in range(rng.choice((1, 1, 2, 16))):
            where = rng.randrange(max(len(data), 1))
            data[where : where + 1] = bytes(
                [(data[where] if data else 0) ^ (1 << rng.randrange(8))]
            )
    elif kind == "zero":
        data[place : place + length] = bytes(min(length, len(data) - place))
    elif kind == "ones":
        data[place : place + length] = b"\xff" * min(length, len(data) - place)
    elif kind == "insert":
        data[place:place] = rng.randbytes(length)
    elif kind == "repeat":
        data[place:place] = data[place : place + length]
    elif kind == "delete":
        del data[place : place + length]
    else:
        data += rng.randbytes(length)
    path.write_bytes(bytes(data))
    return f"{kind} {length} at {place}"


def _place(path: Path, rng: random.Random) -> str:
    """Something else where the file stood."""
    kind = rng.choice(("missing", "folder", "pipe", "link out", "link to zeros", "loop", "hole"))
    path.unlink()
    if kind == "folder":
        path.mkdir()
        (path / "a").write_text("a")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link out":
        path.symlink_to("/etc/passwd")
    elif kind == "link to zeros":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "hole":
        with path.open("wb") as file:
            file.truncate(HUGE)
    return kind


def _json(path: Path, rng: random.Random) -> str:
    """One value of a JSON file made another; of a result with its hash put right again."""
    value = json.loads(path.read_text(encoding="utf-8"))
    said = _change(value, rng)
    if isinstance(value, dict) and "sha256" in value and "tables" in value and rng.random() < 0.8:
        del value["sha256"]
        value["sha256"] = _sha256(value)
    path.write_text(json.dumps(value), encoding="utf-8")
    return said


def _change(value: Any, rng: random.Random) -> str:
    """Follow random keys, mostly shallow, and change what is there."""
    way: list[Any] = []
    parent = value
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            return "nothing to change"
        key = rng.choice(keys)
        way.append(key)
        child = parent[key]
        if not isinstance(child, (dict, list)) or not child or rng.random() < 0.25:
            break
        parent = child
    kind = rng.choice(("replace", "replace", "replace", "delete", "rename", "repeat", "nest"))
    said = f"{kind} {'/'.join(map(str, way))[:80]}"
    if kind == "delete":
        del parent[key]
    elif kind == "rename" and isinstance(parent, dict):
        parent[rng.choice(("../../evil", "", "a b", "<b>", "x" * 300))] = parent.pop(key)
    elif kind == "repeat" and isinstance(parent, list):
        parent.extend(parent * 3)
    elif kind == "nest":
        for _ in range(rng.choice((3, 900))):
            child = [child]
        parent[key] = child
    else:
        new = rng.choice(TRICKS)
        parent[key] = new
        said += f" by {str(new)[:30]!r}"
    return said


def _safetensors(path: Path, rng: random.Random) -> str:
    """The head says something else than the file holds."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    if rng.random() < 0.2:
        claimed = rng.choice((0, 1, size + 1, 2**31, 2**45, 2**63, 2**64 - 1))
        path.write_bytes(struct.pack("<Q", claimed) + data[8:])
        return f"a head of {claimed} bytes"
    head = json.loads(data[8 : 8 + size])
    tensors = [name for name in head if name != "__metadata__"]
    if rng.random() < 0.5 and tensors:
        name, field = rng.choice(tensors), rng.choice(("shape", "dtype", "data_offsets"))
        tricks = {
            "shape": ([2**40], [2**32, 2**32], [-1], [], [0], ["a"], None, [1] * 70),
            "dtype": ("F64", "I8", "BOOL", "F8_E4M3", "X", 3),
            "data_offsets": ([0, 2**60], [2**63, 0], [10, 2], [0, 0], [0], None),
        }
        said = f"{field} of {name}"
        head[name][field] = rng.choice(tricks[field])
    else:
        said = _change(head, rng)
    text = json.dumps(head).encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    return f"head: {said}"


def _vouched(path: Path, rng: random.Random) -> str:
    """Other weights of the same shapes, and a card with their hash."""
    kind = rng.choice(("huge", "tiny", "noise", "bits", "not finite", "float64", "float32"))
    said = ""

    def change(weights: Tensors) -> None:
        nonlocal said
        name = rng.choice(sorted(weights))
        said, weight = f"{kind} in {name}, vouched for", weights[name].float()
        if kind in ("huge", "tiny"):
            weight *= 1e30 if kind == "huge" else 1e-30
        elif kind == "noise":
            weight += torch.tensor([rng.gauss() for _ in range(weight.numel())]).view_as(weight)
        elif kind == "bits":
            data = bytearray(rng.randbytes(4 * weight.numel()))
            weight = torch.frombuffer(data, dtype=torch.float32).view_as(weight)
        elif kind == "not finite":
            weight.view(-1)[rng.randrange(weight.numel())] = rng.choice((torch.nan, torch.inf))
        weights[name] = weight.double() if kind == "float64" else weight

    change_weights(path.parent, change)
    return said


def _column(path: Path, rng: random.Random) -> str:
    """A column of a result made markup, whatever it was."""
    table, column = rng.choice(columns_of(path))
    text = rng.choice(HOSTILE)
    fill_column(path, path, table, column, text)
    return f"{column} of {table} is {text!r}"


class _Asks:
    """A pickle of it asks for a file to be made by the shell."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/lt_interp_was_run",)


def _pt(path: Path, rng: random.Random) -> str:
    """Archives that ask for code, lead elsewhere, or grow."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    kind = rng.choice(("code", "bare code", "bomb", "names", "pickle", "claims"))
    script = next(name for name in entries if name.endswith("data.pkl"))
    if kind == "bare code":
        path.write_bytes(pickle.dumps({"model_state_dict": _Asks()}, protocol=rng.randrange(6)))
        return kind
    if kind == "code":
        entries[script] = pickle.dumps({"model_state_dict": _Asks()}, protocol=2)
    elif kind == "bomb":
        entries[f"{Path(script).parent}/data/0"] = bytes(2**28)
    elif kind == "names":
        entries[rng.choice(("../../evil", "/tmp/evil", "theirs/data/../../../evil"))] = b"evil"
    elif kind == "pickle":
        changed = bytearray(entries[script])
        for _ in range(3):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        entries[script] = bytes(changed)
    else:  # sizes that no storage has
        number = rng.choice((b"K\x10", b"K\x18", b"K\x0c"))
        entries[script] = entries[script].replace(number, b"J\xff\xff\xff\x7f")
    buffer = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if kind == "bomb" else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())
    return kind


def _text(path: Path, rng: random.Random) -> str:
    """Text that readers stumble over."""
    lines = path.read_text(encoding="utf-8").split("\n")
    strange = rng.choice((
        "<|endoftext|>", "\ufeff", "\x00", "\r", "\u2028", "{", '{"text": 3}',
        '{"text": "\\ud800"}',
        "[" * 100_000, "1" * 5_000, '{"text": ' + "1" * 5_000 + "}", "w" * 3_000_000, "\x1b[31m",
        "<script>", "a b c", "e̴̛̥" * 1_000,
    ))  # fmt: skip
    lines.insert(rng.randrange(len(lines)), strange)
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"a line {strange[:20]!r} of {len(strange)}"
