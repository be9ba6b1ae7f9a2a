"""The two kinds of charts draw what their tables say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cladec_utils.claims import verdicts
from cladec_utils.claims.interval import paired_interval
from cladec_utils.plots import charts, forest
from cladec_utils.plots.text import PlainFigure


@pytest.fixture
def axis():
    figure, (one,) = charts.panels([""], 3.0)
    yield one
    plt.close(figure)


ROWS = pd.DataFrame(
    [(s, place, group, value + s) for s in (0, 1) for place, group, value in
     (("late", "b", 4.0), ("early", "b", 3.0), ("early", "a", 1.0), ("late", "a", 2.0), ("late", "c", 0.0))],
    columns=["seed", "layer", "method", "value"],
)  # fmt: skip
COLUMNS = ("layer", "value", "method")


def test_lines_are_means_per_group_at_their_places(axis):
    charts.lines(axis, ROWS, COLUMNS, places=["early", "late"], groups=["a", "b"], points=True, dodge=0.2)
    drawn = {line.get_label(): line for line in axis.lines}
    assert list(drawn) == ["a", "b"]
    assert drawn["a"].get_ydata().tolist() == [1.5, 2.5] and drawn["b"].get_ydata().tolist() == [3.5, 4.5]
    assert drawn["a"].get_xdata() == pytest.approx([-0.1, 0.9])
    assert drawn["b"].get_xdata() == pytest.approx([0.1, 1.1])
    assert [t.get_text() for t in axis.get_xticklabels()] == ["early", "late"]
    seeds = [sorted(points.get_offsets()[:, 1].tolist()) for points in axis.collections]
    assert seeds == [[1, 2, 2, 3], [3, 4, 4, 5]]


@pytest.mark.parametrize("names", [("_blocks.0", "_conv_head"), ("", "_nolegend_"), ("__", "a")])
def test_every_line_is_in_the_legend_by_its_name(names):
    rows = [(name, alpha, metric, 0.1 + alpha) for name in names for alpha in (0.0, 0.5) for metric in "xy"]
    table = pd.DataFrame(rows, columns=["layer", "alpha", "metric", "value"]).assign(method="ClaDec")
    drawn = charts.front(table, names, "x", "y", ("x", "y")), charts.against_alpha(table, names, {"x": "x"})
    for figure in drawn:
        figure.canvas.draw()
        shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert shown == [name or "(no name)" for name in names]
        plt.close(figure)
    figure = plt.figure(FigureClass=PlainFigure)
    forest.key(figure, {name: {} for name in names})
    figure.canvas.draw()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [n or "(no name)" for n in names]
    plt.close(figure)


def test_bars_are_the_t_interval_of_all_seeds_where_there_are_several(axis):
    table = ROWS[(ROWS["method"] == "a") & ~((ROWS["layer"] == "late") & (ROWS["seed"] == 1))]
    charts.lines(axis, table, COLUMNS, places=["early", "late"], bars=True)
    assert axis.lines[0].get_ydata().tolist() == [1.0, 2.0]  # of seed 0, which has both
    (bars,) = axis.containers
    (segment,) = bars.lines[2][0].get_segments()
    _, low, high = paired_interval([1.0, 2.0])
    assert segment[:, 0].tolist() == [0, 0] and segment[:, 1] == pytest.approx([low, high])


def test_numbers_are_joined_in_the_order_of_the_table_and_styles_are_kept(axis):
    table = pd.DataFrame({"x": [3.0, 1.0, 2.0], "y": [0.0, 1.0, 2.0], "of": "a"})
    charts.lines(axis, table, ("x", "y", "of"), groups={"a": {"color": "#123456", "linestyle": ":"}})
    (line,) = axis.lines
    assert line.get_xdata().tolist() == [3, 1, 2] and line.get_ydata().tolist() == [0, 1, 2]
    assert line.get_color() == "#123456" and line.get_linestyle() == ":"


def test_intervals_stand_from_the_top_down_with_arrowheads_where_they_are_cut(axis):
    table = pd.DataFrame({"name": ["one", "two", "three"], "mean": [0.0, np.nan, 0.5], "of": "g"})
    table = table.assign(low=[-0.5, -9.0, 0.4], high=[0.5, 0.1, 9.0])
    forest.intervals(axis, table, "of", {"g": {"color": "#0072B2", "marker": "D"}}, limits=(-1, 1))
    assert [t.get_text() for t in axis.get_yticklabels()] == ["one", "two", "three"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1] and axis.get_xlim() == (-1, 1)
    marks = [
        (m.get_marker(), m.get_xdata()[0], m.get_ydata()[0]) for m in axis.lines if m.get_marker() in "<>"
    ]
    assert marks == [("<", -1, 1), (">", 1, 2)]
    spans = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "None"]
    assert spans[:3] == [[-0.5, 0.5], [-9.0, 0.1], [0.4, 9.0]]


def test_the_forest_has_the_verdicts_colours():
    card = pd.DataFrame(
        {
            "claim": "C1",
            "architecture": "vgg",
            "layer": ["x", "y", "z", "w"],
            "neurons": "all",
            "row": ["primary", *["secondary"] * 3],
        }
    )
    card["verdict"] = [verdicts.HOLDS, verdicts.FAILS, verdicts.UNDECIDED, verdicts.PARTICIPANTS]
    card = card.assign(effect=[0.1, 0.2, 0.3, np.nan], low=0.0, high=1.0)
    figure = forest.forest(card, {"C1": "accuracy"})
    (axis,) = figure.axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["vgg x (primary)", "vgg y", "vgg z"]
    means = {
        float(m.get_xdata()[0]): to_hex(m.get_color()) for m in axis.lines if m.get_linestyle() == "None"
    }
    decided = [verdicts.HOLDS, verdicts.FAILS, verdicts.UNDECIDED]
    assert list(means.values()) == [verdicts.COLOURS[v].lower() for v in decided] and list(means) == [
        0.1,
        0.2,
        0.3,
    ]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == decided
    plt.close(figure)
