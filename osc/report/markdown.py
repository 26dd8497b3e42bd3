"""The plan as a runbook."""

from osc.report.plan import Plan


def render_markdown(plan: Plan) -> str:
    return ""
