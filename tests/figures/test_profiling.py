"""The three panels of the profiling figure."""

from __future__ import annotations

import pytest

from ensrepro.figures import profiling, style

STATUS = "not run: attention takes 32 GiB, the bound is 2 GiB"


def row(block: str, side: int, measured: bool = True) -> dict[str, object]:
    return {
        "block": block,
        "resolution": side,
        "macs": side**2 * 10**4,
        "peak_memory_mib": side**2 / 100 if measured else None,
        "p50_ms": side / 10 if measured else None,
        "status": "measured" if measured else STATUS,
    }


ROWS = [row("restormer", 16), row("restormer", 32), row("vanilla", 16), row("vanilla", 32, False)]


def test_three_panels_with_units_on_logarithmic_axes():
    axes = profiling.costs(ROWS).axes
    assert [a.get_ylabel() for a in axes] == [
        "MACs (billions)",
        "peak memory (MiB)",
        "latency, median (ms)",
    ]
    assert axes[-1].get_xlabel() == "image side (pixels)"
    assert all((a.get_xscale(), a.get_yscale()) == ("log", "log") for a in axes)
    assert [tick.get_text() for tick in axes[-1].get_xticklabels()] == ["16", "32"]


def test_every_value_is_drawn_in_the_unit_of_its_axis():
    macs, memory, latency = profiling.costs(ROWS).axes
    restormer, vanilla = macs.get_lines()
    assert list(restormer.get_xdata()) == [16, 32]
    assert list(restormer.get_ydata()) == pytest.approx([0.00256, 0.01024])
    assert len(vanilla.get_xdata()) == 2  # MACs are known without a run
    assert list(memory.get_lines()[0].get_ydata()) == pytest.approx([2.56, 10.24])
    assert list(latency.get_lines()[0].get_ydata()) == pytest.approx([1.6, 3.2])


def test_a_block_that_stops_is_crossed_out_where_it_stops_with_the_reason():
    macs, memory, latency = profiling.costs(ROWS).axes
    assert not macs.texts
    assert memory.texts[0].get_text().replace("\n", " ") == STATUS
    assert latency.texts[0].get_text() == "not run"
    for axes in (memory, latency):
        _, vanilla, cross = axes.get_lines()
        assert list(vanilla.get_xdata()) == [16]
        assert (list(cross.get_xdata()), cross.get_marker()) == ([32], "x")


def test_rows_may_come_in_any_order():
    lines = profiling.costs(ROWS[::-1]).axes[0].get_lines()
    assert all(list(line.get_xdata()) == [16, 32] for line in lines)


def test_blocks_have_their_own_color_marker_and_name():
    figure = profiling.costs([*ROWS, row("mambair", 16)])
    lines = figure.axes[0].get_lines()
    assert lines[0].get_color() == style.COLORS["restormer"]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 3
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["Restormer", "vanilla attention", "MambaIR"]


@pytest.mark.parametrize(
    "rows", [[row("mambair", 64)], [row("vanilla", 16, False)]], ids=["one point", "nothing ran"]
)
def test_a_single_row_is_drawn(rows):
    assert style.png(profiling.costs(rows)).startswith(b"\x89PNG")


def test_no_rows_and_lacking_columns_are_refused():
    with pytest.raises(ValueError, match="rows is empty"):
        profiling.costs([])
    with pytest.raises(ValueError, match=r"rows\[0\] has no 'macs'"):
        profiling.costs([{"block": "restormer", "resolution": 16}])
