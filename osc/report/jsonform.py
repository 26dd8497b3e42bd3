"""The plan as JSON; the schema is documented in `docs/plan-schema.md`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from osc.estimate.measured import Measured, Work
from osc.estimate.model import AtImpact, Estimate, Spread
from osc.progress.report import JsonValue
from osc.report.finish import finishing_times
from osc.report.plan import SCHEMA_VERSION, Changes, ColumnChange, Costs, How, Plan, TableFacts

KIND = "osc-plan"


def as_json(plan: Plan) -> dict[str, JsonValue]:
    """The plan as a JSON object."""
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "made_at": plan.made_at.isoformat(timespec="seconds"),
        "osc_version": plan.osc_version,
        "exit_code": plan.exit_code,
        "database": plan.table.database,
        "table": plan.table.name,
        "alter": plan.alter,
        "options": dict(plan.options),
        "strategy": plan.how.strategy,
        "how": _how(plan.how),
        "changes": _changes(plan.changes),
        "table_facts": _table(plan.table),
        "server": {
            "title": plan.server.title,
            "version": plan.server.version,
            "place": plan.server.place,
            "login": list(plan.server.login),
            "identity": plan.server.identity,
            "settings": dict(plan.server.settings),
            "binlog_readers": plan.server.replicas,
        },
        "estimate": None if plan.estimate is None else _estimate(plan, plan.estimate),
        "sample": None if plan.measured is None else _sample(plan.measured),
        "costs": None if plan.costs is None else _costs(plan.costs),
        "blockers": [
            {
                "connection": blocker.session,
                "who": blocker.who,
                "what": blocker.what,
                "age_s": blocker.age_s,
                "statement": blocker.statement,
            }
            for blocker in plan.blockers
        ],
        "findings": [
            {"level": f.level, "code": f.code, "title": f.title, "detail": f.detail, "fix": f.fix}
            for f in plan.findings
        ],
        "unknown": list(plan.unknown),
        "tables": dict(plan.names),
    }


def render_json(plan: Plan) -> str:
    """The same as text, for a file or a pipe."""
    return json.dumps(as_json(plan), indent=2, ensure_ascii=False)


def _how(how: How) -> JsonValue:
    return {
        "why": how.why,
        "statement": how.statement,
        "price": how.price,
        "possible_inplace": how.possible_inplace,
        "row_versions": how.row_versions,
        "refused": [{"algorithm": algorithm, "reason": reason} for algorithm, reason in how.refused],
    }


def _changes(changes: Changes) -> JsonValue:
    return {
        "columns_added": [_column(one) for one in changes.added],
        "columns_dropped": [_column(one) for one in changes.dropped],
        "columns_changed": [_column(one) for one in changes.changed],
        "indexes_added": list(changes.indexes_added),
        "indexes_dropped": list(changes.indexes_dropped),
        "indexes_deferred": list(changes.indexes_deferred),
        "options": [{"before": before, "after": after} for before, after in changes.options],
        "is_read_from_statement": changes.is_read_from_statement,
    }


def _column(change: ColumnChange) -> JsonValue:
    return {
        "name": change.name,
        "before": change.before,
        "after": change.after,
        "new_name": change.new_name,
        "conversion": change.conversion,
        "may_lose": change.may_lose,
    }


def _table(table: TableFacts) -> JsonValue:
    return {
        "rows": table.rows,
        "data_bytes": table.data_bytes,
        "index_bytes": table.index_bytes,
        "columns": table.columns,
        "indexes": table.indexes,
        "key": table.key,
        "key_is_temporary": table.key_is_temporary,
        "is_partitioned": table.is_partitioned,
        "is_encrypted": table.is_encrypted,
        "structure": table.structure,
    }


def _estimate(plan: Plan, estimate: Estimate) -> JsonValue:
    return {
        "impact": estimate.chosen.impact,
        "total": _spread(estimate.chosen.total),
        "dominated_by": estimate.chosen.dominated_by,
        "finish": dict(zip(("p10", "p50", "p90"), finishing_times(plan, estimate.chosen.total), strict=True)),
        "rows_per_s": round(estimate.rows_per_s, 1),
        "is_thin": estimate.is_thin,
        "doubts": list(estimate.doubts),
        "phases": _phases(estimate.chosen),
        "impacts": [
            {
                "impact": one.impact,
                "level": round(one.level, 3),
                "total": _spread(one.total),
                "phases": _phases(one),
            }
            for one in estimate.at_impacts
        ],
    }


def _phases(at: AtImpact) -> JsonValue:
    return {name: _spread(spread) for name, spread in at.phases}


def _spread(spread: Spread) -> JsonValue:
    return {"p10_s": round(spread.p10_s, 3), "p50_s": round(spread.p50_s, 3), "p90_s": round(spread.p90_s, 3)}


def _sample(measured: Measured) -> JsonValue:
    load, traffic = measured.load, measured.traffic
    return {
        "took_s": round(measured.took_s, 3),
        "rows": measured.rows,
        "made_s": round(measured.made_s, 3),
        "regions": _regions(measured.copied),
        "verified": _regions(measured.verified),
        "others_are_active": load.is_active,
        "commit_baseline_ms": None if load.baseline_s is None else round(load.baseline_s * 1000, 3),
        "commits": [{"level": round(level, 3), "ms": round(took_s * 1000, 3)} for level, took_s in load.commits],
        "chunk_overhead_ms": round(measured.copy_overhead_s * 1000, 3),
        "verify_overhead_ms": round(measured.verify_overhead_s * 1000, 3),
        "reconcile_key_ms": None if measured.reconcile_key_s is None else round(measured.reconcile_key_s * 1000, 4),
        "index_build_s": measured.build_s,
        "table_changes_per_s": None if traffic is None else round(traffic.table_rows_s, 1),
        "binlog_bytes_per_s": None if traffic is None else round(traffic.binlog_bytes_s),
        "held_back_by": measured.held_back_by,
    }


def _regions(works: Sequence[Work]) -> JsonValue:
    return [
        {"share": round(work.share, 4), "rows": work.rows, "chunks": work.pieces, "busy_s": round(work.busy_s, 4)}
        for work in works
    ]


def _costs(costs: Costs) -> JsonValue:
    return {
        "disk_bytes": costs.disk_bytes,
        "ghost_data_bytes": costs.ghost_data_bytes,
        "ghost_index_bytes": costs.ghost_index_bytes,
        "is_measured": costs.is_measured,
        "binlog_bytes": costs.binlog_bytes,
        "temporary_bytes": costs.temporary_bytes,
        "replica_delay_s": None if costs.replica_delay_s is None else round(costs.replica_delay_s, 3),
        "replica_delay_why": costs.replica_delay_why,
        "binlog_retention_s": costs.binlog_retention_s,
    }
