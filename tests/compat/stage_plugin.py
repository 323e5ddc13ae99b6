"""A pytest plugin that points TransformerLens's own tests at a stage and records what happens."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformer_lens.model_bridge import TransformerBridge

from .reasons import load_reasons
from .runs import short_id
from .stand_in import StageFactory, StandIn

RECORDS: dict[str, dict[str, Any]] = {}


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Put the stage where the tests build their models."""
    shipped = os.environ["LT_COMPAT_WEIGHTS"] == "shipped"
    factory = StageFactory(stage=os.environ["LT_COMPAT_STAGE"], shipped=shipped)
    TransformerBridge.boot_native = staticmethod(factory.boot_native)
    TransformerBridge.boot_transformers = staticmethod(factory.boot_transformers)
    toys = {toy for module in {item.module for item in items} for toy in replace(module, factory)}
    left_out = [reason for reason in load_reasons() if not reason.run]
    for item in items:
        if any(reason.covers(short_id(item.nodeid)) for reason in left_out):
            item.add_marker(pytest.mark.skip)
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        for name, value in parameters.items():
            if isinstance(value, type) and value in toys:
                parameters[name] = factory.toy
    gc.freeze()  # their conftest collects garbage after every test: a second each otherwise


def replace(module: Any, factory: StageFactory) -> set[type]:
    """Replace what a test module has imported, or defined as a toy; returns the toy classes."""
    if hasattr(module, "build_bridge_from_module"):
        module.build_bridge_from_module = factory.build_bridge_from_module
    if hasattr(module, "_build_bridge"):
        module._build_bridge = factory.mock
    toys = {value for name, value in vars(module).items() if name.endswith("ToyBridge")}
    for toy in toys:
        setattr(module, toy.__name__, factory.toy)
    return toys


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    """Note whether a stage was part of the test."""
    before = StandIn.used
    RECORDS[item.nodeid] = {"outcome": "passed", "message": "", "on_stage": False}
    result = yield
    RECORDS[item.nodeid]["on_stage"] |= StandIn.used > before
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    """A fixture of an earlier test may hold the stage that this one reads."""
    RECORDS[item.nodeid]["on_stage"] = any(holds_stage(value) for value in item.funcargs.values())
    return (yield)


def holds_stage(value: Any) -> bool:
    """Whether a fixture is a stage, a cache of one, or a tuple with one in it."""
    if isinstance(value, tuple):
        return any(holds_stage(part) for part in value)
    return isinstance(value, StandIn) or isinstance(getattr(value, "model", None), StandIn)


def pytest_runtest_logreport(report: Any) -> None:
    """Keep the worst phase of a test and its last line."""
    record = RECORDS[report.nodeid]
    if report.outcome != "passed" and record["outcome"] != "failed":
        record["outcome"] = report.outcome
        record["message"] = last_line(report)


def last_line(report: Any) -> str:
    """Why a test was skipped or how it failed."""
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr).strip()


def pytest_sessionfinish() -> None:
    """Hand the records to the runner."""
    Path(os.environ["LT_COMPAT_RECORDS"]).write_text(json.dumps(RECORDS, indent=1))
