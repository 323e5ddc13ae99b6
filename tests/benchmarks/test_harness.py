"""What every benchmark is measured with."""

from __future__ import annotations

import pytest

from benchmarks.harness import upper_slope


@pytest.mark.parametrize("sizes", [(10, 100, 1000), (1, 2, 4, 8, 16)])
def test_the_slope_of_a_power_is_its_exponent(sizes: tuple[int, ...]) -> None:
    assert upper_slope(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)


def test_the_slope_is_that_of_the_larger_half() -> None:
    assert upper_slope((1, 2, 4, 8), [9, 9, 4, 16]) == pytest.approx(2)
