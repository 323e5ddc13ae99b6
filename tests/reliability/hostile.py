"""Text that would do something if pages did not show it as text, wherever text of others is."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

import lt_interp
from lt_interp.methods.result import RESULT

HOSTILE = (
    "<script>document.title='owned'</script>", "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=\"document.title='owned'\">", "[a](javascript:document.title='owned')",
    "![a](https://evil.example/a.png)", "https://evil.example/auto", "www.evil.example",
    "`</code><script>document.title='owned'</script>", "|", "a|b", "\n\n# heading\n\n", "$$x$$",
    "{{ 7 * 7 }}", "{% raw %}", "<!--", "]]>", "--><script>document.title='owned'</script>",
    "&lt;script&gt;", "\u202etxt.exe\u202c", "\u200b", "\x07", "\x1b[31m", "\ufeff", "\ufffe",
    "e\u0301" * 40, "w" * 3_000, "'\" onmouseover=\"document.title='owned'\"", "</text><script>",
    "<iframe src=https://evil.example>", "<style>@import 'https://evil.example/a.css'</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>", "[a]: https://evil.example",
    "<a href='https://evil.example'>a</a>", "~~~", "```\n<b>", "\t", " ", "",
)  # fmt: skip
# What pages are made of, and an SVG file besides.
TAGS = {
    "p", "h1", "h2", "h3", "h4", "ul", "ol", "li", "em", "strong", "code", "pre", "table", "thead",
    "tbody", "tr", "th", "td", "a", "img", "br", "hr", "blockquote", "details", "summary", "del",
}  # fmt: skip
SVG_TAGS = {
    "svg", "g", "path", "defs", "style", "use", "text", "tspan", "clippath", "rect", "metadata",
    "image", "pattern",
    "rdf:rdf", "cc:work", "dc:type", "dc:date", "dc:format", "dc:creator", "dc:title",
    "cc:agent", "dc:source",
}  # fmt: skip
# Whom Chromium calls by itself: clocks, accounts, updates.
OF_THE_BROWSER = re.compile(r"^\w+ (http://)?[\w.-]*\.(google|googleapis|gvt1)\.com[:/]")
BROWSER = next((b for b in ("chromium", "chromium-browser") if shutil.which(b)), None)


def words_of_the_code() -> set[str]:
    """Every string that stands in the package's source: labels and names that results share."""
    package = Path(lt_interp.__file__).parent
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in package.rglob("*.py"))
    constants = (
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)
    )
    words = {node.value for node in constants if isinstance(node.value, str)}
    for path in package.glob("article*.json"):
        words |= set(_strings(json.loads(path.read_text(encoding="utf-8"))))
    return words


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _strings(part)]
    return [text for part in value for text in _strings(part)] if isinstance(value, list) else []


def make_hostile(result: Path, out: Path) -> int:
    """Write a saved result with every text that is not the code's own made hostile.

    Texts that were the same are the same afterwards, and no two become one.

    Returns:
        How many there were.
    """
    stored = json.loads(result.read_text(encoding="utf-8"))
    stored.pop("sha256", None)
    own, new = words_of_the_code(), dict[str, str]()

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            listed = all(word in own for word in value.split(","))
            if listed or value in own or value in stored["tables"]:
                return value
            return new.setdefault(value, f"{HOSTILE[len(new) % len(HOSTILE)]}{len(new)}")
        if isinstance(value, list):
            return [changed(part) for part in value]
        return {k: changed(v) for k, v in value.items()} if isinstance(value, dict) else value

    for table in stored["tables"].values():
        table["rows"] = changed(table["rows"])
    own -= set(_strings(stored["meta"]))
    stored["meta"] = {key: changed(value) for key, value in stored["meta"].items()}
    out.mkdir(parents=True)
    (out / RESULT).write_text(json.dumps(stored), encoding="utf-8")
    return len(new)


class Found(HTMLParser):
    """Elements and attributes of a document that are not a page's."""

    def __init__(self, allowed: set[str]) -> None:
        super().__init__()
        self.allowed, self.wrong = allowed, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.allowed:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            target = (value or "").strip()
            leads = name in ("href", "src", "xlink:href", "srcset", "data")
            outside = ":" in target.split("/")[0] or target.startswith("//")
            if name.startswith("on") or (leads and outside and not _ours(tag, target)):
                self.wrong.append(f"<{tag} {name}={target[:60]!r}>")

    def handle_comment(self, data: str) -> None:
        if "Created with matplotlib" not in data and data.strip():
            self.wrong.append(f"<!--{data[:40]}")


def _ours(tag: str, target: str) -> bool:
    """A picture within an SVG file, and the links that templates have."""
    if tag == "image":
        return target.startswith("data:image/png;base64,")
    return tag == "a" and target.startswith(("https://arxiv.org/", "https://en.wikipedia.org/"))


def wrong_in(page: str, allowed: set[str]) -> list[str]:
    """What of a document is not allowed."""
    found = Found(allowed)
    found.feed(page)
    found.close()
    return found.wrong


def as_html(markdown: str) -> str:
    """A page as a viewer renders it that lets HTML through."""
    return MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown)


def browse(page: str, *, policy: str | None = None) -> tuple[str, str, list[str]]:
    """Open a document in headless Chromium, scripts allowed, and wait for what it does.

    Args:
        page: What stands in its body.
        policy: Its content security policy.

    Returns:
        The document afterwards, what the browser said of refused content, and whom it called.
    """
    assert BROWSER is not None
    meta = (
        "" if policy is None else f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    )
    document = f'<!doctype html><meta charset="utf-8">{meta}<title>page</title><body>{page}'
    with tempfile.TemporaryDirectory() as folder, _Listener() as listener:
        path = Path(folder) / "page.html"
        path.write_text(document, encoding="utf-8")
        done = subprocess.run(
            [
                BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-extensions", "--disable-default-apps", "--disable-domain-reliability",
                "--disable-features=OptimizationHints,MediaRouter,AutofillServerCommunication",
                f"--user-data-dir={folder}/profile", f"--proxy-server=127.0.0.1:{listener.port}",
                "--proxy-bypass-list=<-loopback>", "--enable-logging=stderr", "--v=0",
                "--virtual-time-budget=3000", "--dump-dom", path.as_uri(),
            ],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "HOME": folder},
        )  # fmt: skip
    refused = [line for line in done.stderr.splitlines() if "Refused" in line or "violates" in line]
    called = [line for line in listener.called if not OF_THE_BROWSER.search(line)]
    return done.stdout, "\n".join(refused), called


class _Listener:
    """A proxy that answers nothing and notes who is asked for."""

    def __enter__(self) -> _Listener:
        self.called: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                try:
                    self.called.append(connection.recv(200).decode("latin-1").split("\r\n")[0])
                except OSError:
                    self.called.append("a connection")
