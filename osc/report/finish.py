"""When it would be done, by the clock."""

from __future__ import annotations

from datetime import timedelta

from osc.estimate.model import Spread
from osc.report.plan import Plan


def finishing_times(plan: Plan, total: Spread) -> tuple[str, str, str]:
    """For a migration that starts when the plan was made: the times that go with p10, p50 and p90, in ISO form."""
    p10, p50, p90 = (
        (plan.made_at + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        for seconds in (total.p10_s, total.p50_s, total.p90_s)
    )
    return p10, p50, p90


def clock(plan: Plan, seconds: float) -> str:
    """For people: `16:42`, with the day where it is another."""
    at = plan.made_at + timedelta(seconds=seconds)
    return f"{at:%H:%M}" if at.date() == plan.made_at.date() else f"{at:%a %Y-%m-%d %H:%M}"
