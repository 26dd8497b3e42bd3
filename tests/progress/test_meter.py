"""What the meter makes of the engine's figures, whatever they are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from osc.progress.gauges import Gauges
from osc.progress.meter import Meter
from osc.table.facts import Table
from osc.throttle.governor import Pace
from tests.migration.inside import Recorder

TABLE = Table("db", "t", "InnoDB", "", (), (), 1_000, 0, 0, None, "create table t ()")
COPYING = Gauges(
    rows_copied=100,
    key_share=0.1,
    keys_reconciled=0,
    rows_verified=0,
    rows_changed_by_conversion=None,
    is_building=False,
    pending_keys=0,
    chunk_rows=100,
    chunk_s=0.1,
    tail_lag_s=None,
    throttled_by=None,
    pace=Pace(1.0, 2, 0.1, 0.0),
    commit_s=None,
    baseline_s=None,
)


class Engine:
    """Has what it is given."""

    def __init__(self) -> None:
        self.now = COPYING

    def gauges(self) -> Gauges:
        return self.now


def test_a_time_left_that_cannot_be_calculated_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told, engine = Recorder(), Engine()
    meter = Meter(told)
    meter.attach(engine, TABLE, 0)
    meter.phase("copy")
    assert told.of("status")[-1]["rows_estimated"] == 1_000
    for rows in range(101, 131):
        engine.now = replace(COPYING, rows_copied=rows, key_share=math.inf)
        meter.tick(at_once=True)
        assert told.of("status")[-1]["rows_copied"] == rows
    assert "the time that is left cannot be told" in caplog.text
