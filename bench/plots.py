"""Latency over time, a panel for each contender, its phases marked. Needs matplotlib (`pip install 'osc-mysql[bench]'`)."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.measure import Run
from bench.results import Cell

_COLOURS = {"preflight": "0.93", "prepare": "0.88", "copy": "#dbe9f6", "verify": "#e3f1dc", "ready": "#f3efdc"}
_OTHER = "#f6e3db"
_PANEL_INCHES = (10.0, 2.1)


def plot(cell: Cell, folder: Path) -> list[Path]:
    """Draw one cell with a load into the folder. Returns the PNG and the SVG."""
    mpl.use("Agg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "osc"})  # text stays text, the same plot the same file
    shown = [run for name in cell.contenders if (run := _typical(cell, name))]
    width, height = _PANEL_INCHES
    figure, panels = plt.subplots(
        len(shown), 1, figsize=(width, height * len(shown) + 0.8), sharex=True, sharey=True, squeeze=False
    )
    shortest_label_s = 0.07 * max(run.wall_s for run in shown)
    for panel, run in zip(panels[:, 0], shown, strict=True):
        _draw(panel, run, shortest_label_s)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="upper right", ncols=3, fontsize="x-small")
    panels[-1, 0].set_xlabel("seconds since the migration began")
    figure.suptitle(f"{cell.scenario}, {cell.setting}: {cell.rows:,} rows, load {cell.load}", fontsize="medium")
    figure.tight_layout()
    paths = [folder / f"{cell.scenario}-{cell.setting}.{kind}" for kind in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=120)
    plt.close(figure)
    return paths


def _typical(cell: Cell, contender: str) -> Run | None:
    """The run of median length."""
    runs = sorted((run for run in cell.of(contender) if run.felt), key=lambda run: run.wall_s)
    return runs[len(runs) // 2] if runs else None


def _draw(panel: Axes, run: Run, shortest_label_s: float) -> None:
    assert run.felt is not None
    points = run.felt.points
    times = [point.at_s for point in points]
    for figure, colour in (("worst_ms", "0.65"), ("p99_ms", "#c0392b"), ("p50_ms", "#1f4e79")):
        values = [value if (value := getattr(point, figure)) is not None else float("nan") for point in points]
        panel.plot(times, values, color=colour, linewidth=1, label=figure.removesuffix("_ms"))
    panel.set_yscale("log")
    panel.set_ylabel("ms")
    ends = [moment for _, moment in run.phases[1:]] + [run.wall_s]
    for (name, begin), end in zip(run.phases, ends, strict=True):
        panel.axvspan(begin, end, color=_COLOURS.get(name, _OTHER), zorder=0, linewidth=0)
        if end - begin > shortest_label_s:
            panel.text(
                (begin + end) / 2, 0.97, name, transform=panel.get_xaxis_transform(), ha="center", va="top", size=7
            )
    for moment in run.swap_s or ():
        panel.axvline(moment, color="#c0392b", linewidth=0.8, linestyle=":")
    ending = f"{run.wall_s:.1f} s" if run.finished else f"not finished after {run.wall_s:.0f} s"
    panel.set_title(f"{run.contender}: {ending}", loc="left", fontsize="small")
