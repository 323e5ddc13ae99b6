"""A result is read back exactly as it was saved, and the same result gives the same bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from lt_interp.errors import InputError
from lt_interp.methods.result import Result, join_tables, make_table


def example() -> Result:
    table = make_table(
        {"stage": str, "n": int, "maybe": int, "loss_nats": float, "ok": bool, "known": bool},
        [
            {"stage": 'a "b", c\n|', "n": 2**53 + 1, "maybe": 2**53 + 1, "ok": True, "known": None},
            {"stage": None, "n": -1, "maybe": None, "loss_nats": 0.1 + 0.2, "ok": False},
            {"stage": "", "n": 0, "loss_nats": -0.0, "ok": True, "known": False},
        ],
    )
    meta = {"seed": 3, "models": {"x": {"val_loss_nats": 1 / 3}}, "notes": ["é\nline", None]}
    return Result(
        name="example", tables={"first": table, "empty": make_table({"k": int}, [])}, meta=meta
    )


def test_everything_is_read_back_exactly(tmp_path: Path) -> None:
    before = example()
    before.save(tmp_path)
    after = Result.load(tmp_path)
    assert (after.name, after.meta) == (before.name, before.meta)
    assert list(after.tables) == ["first", "empty"]
    for name, table in before.tables.items():
        assert_frame_equal(after.tables[name], table, check_exact=True)
    assert after.tables["first"].dtypes.astype(str).to_dict() == {
        "stage": "object",
        "n": "int64",
        "maybe": "Int64",
        "loss_nats": "float64",
        "ok": "bool",
        "known": "boolean",
    }
    assert after.tables["first"]["maybe"][0] == 2**53 + 1  # lost if it had passed through a float
    assert math.copysign(1, after.tables["first"]["loss_nats"][2]) == -1


cells = st.one_of(
    st.tuples(st.just(int), st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=4)),
    st.tuples(
        st.just(float),
        st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    ),
    st.tuples(st.just(bool), st.lists(st.none() | st.booleans(), max_size=4)),
    st.tuples(
        st.just(str),
        st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=4),
    ),
)


@settings(max_examples=30, deadline=None)
@given(cells)
def test_any_column_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, column: tuple[type, list[object]]
) -> None:
    kind, values = column
    table = make_table({"x": kind}, [{"x": value} for value in values])
    folder = tmp_path_factory.mktemp("result")
    Result(name="r", tables={"t": table}).save(folder)
    after = Result.load(folder)
    assert_frame_equal(after.tables["t"], table, check_exact=True)
    assert [row["x"] for row in after.rows("t")] == values


def test_same_result_same_bytes_and_saving_what_was_loaded_changes_nothing(tmp_path: Path) -> None:
    example().save(tmp_path / "a")
    Result.load(tmp_path / "a").save(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["empty.csv", "first.csv", "result.json"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_file_is_strict_json_with_null_for_what_is_missing(tmp_path: Path) -> None:
    example().save(tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    stored = json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse)
    assert stored["tables"]["first"]["rows"][0][3] is None


def test_csv_holds_the_same_numbers(tmp_path: Path) -> None:
    example().save(tmp_path)
    table = pd.read_csv(tmp_path / "first.csv", float_precision="round_trip")
    assert table["loss_nats"].tolist()[1] == 0.1 + 0.2
    assert table["maybe"].isna().tolist() == [False, True, True]


def test_pandas_own_missing_values_and_types_are_accepted() -> None:
    frame = pd.DataFrame(
        {"n": pd.array([1, pd.NA], dtype="Int64"), "u": np.array([1, 2], dtype=np.uint16)},
        index=[7, 9],
    )
    result = Result(name="r", tables={"t": frame})
    assert result.rows("t") == [{"n": 1, "u": 1}, {"n": None, "u": 2}]


def test_mixed_and_infinite_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mixes types"):
        Result(name="r", tables={"t": pd.DataFrame({"x": [1, "a"]})})
    with pytest.raises(ValueError, match="JSON"):
        Result(name="r", tables={"t": pd.DataFrame({"x": [math.inf]})}).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_undeclared_column_is_refused() -> None:
    with pytest.raises(ValueError, match="loss"):
        make_table({"stage": str}, [{"stage": "a", "loss": 1.0}])


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: stored.pop("tables"),
        lambda stored: stored.update(format_version=99),
        lambda stored: stored["tables"]["first"]["rows"][0].pop(),
        lambda stored: stored["tables"]["first"]["types"].update(n="datetime64[ns]"),
        lambda stored: stored["tables"]["first"]["rows"][0].__setitem__(1, "many"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, damage: object) -> None:
    example().save(tmp_path)
    path = tmp_path / "result.json"
    stored = json.loads(path.read_text())
    damage(stored)  # type: ignore[operator]
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"result\.json"):
        Result.load(tmp_path)


def test_tables_joined_are_those_made_of_all_rows() -> None:
    own = {"n": int, "x": float, "word": str, "flag": bool}
    parts = [
        [{"n": 1, "x": 0.5, "word": "a", "flag": True}, {"n": None, "x": None, "word": None}],
        [],
        [{"n": 3, "x": 2.0, "word": "b", "flag": False}],
    ]
    about = [{"stage": "s", "seed": 0}, {"stage": "t", "seed": None}, {"stage": "u", "seed": 1}]
    columns = {"stage": str, "seed": int, **own}
    for some in ([0], [1], [0, 1], [2], [0, 1, 2], []):
        joined = join_tables(columns, [(about[i], make_table(own, parts[i])) for i in some])
        rows = [{**about[i], **row} for i in some for row in parts[i]]
        made = make_table(columns, rows)
        assert joined.dtypes.tolist() == made.dtypes.tolist()
        assert joined.equals(made)


def test_a_result_can_do_without_its_csv_twins(tmp_path: Path) -> None:
    result = Result(name="r", tables={"t": make_table({"n": int}, [{"n": 1}])})
    result.save(tmp_path, csv=False)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert Result.load(tmp_path).tables["t"].equals(result.tables["t"])
