"""What the documentation says of grants and findings is what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from osc.mysql.grants import optional_grants, privileges, required_grants
from osc.mysql.server import Flavor

ROOT = Path(__file__).parents[2]
ROOMS = ("osc/plan/checks", "osc/report", "osc/estimate")
OLDEST: dict[Flavor, tuple[int, int, int]] = {"mysql": (8, 0, 13), "mariadb": (10, 6, 0)}


def codes_in_the_checks() -> set[str]:
    """The first argument of every call that makes a finding."""
    found = set()
    for path in (path for room in ROOMS for path in (ROOT / room).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                position = {"blocking": 0, "warning": 0, "note": 0, "_unless": 1}.get(node.func.id)
                if position is not None and isinstance(node.args[position], ast.Constant):
                    found.add(str(node.args[position].value))  # type: ignore[attr-defined]
    return found


def test_every_finding_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", (ROOT / "docs/preflight.md").read_text(), re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}
    assert documented == codes_in_the_checks()


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_the_documented_statements_are_those_that_are_checked(flavor: Flavor) -> None:
    sections = (ROOT / "docs/grants.md").read_text().split("\n## ")
    section = next(one for one in sections if one.lower().startswith(flavor))
    blocks = [
        re.findall(r"^(GRANT .*);$", block, re.MULTILINE) for block in re.findall(r"```sql\n(.*?)```", section, re.S)
    ]
    assert blocks == [required_grants(flavor, OLDEST[flavor], "shop"), optional_grants(flavor, OLDEST[flavor], "shop")]


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_the_privileges_for_a_binlog_server_are_documented(flavor: Flavor) -> None:
    line = next(
        one for one in (ROOT / "docs/grants.md").read_text().splitlines() if one.lower().startswith(f"- {flavor}:")
    )
    wanted = [one.name for one in privileges(flavor, OLDEST[flavor]) if one.on_binlog_server and one.is_required]
    assert re.findall(r"`([^`]+)`", line) == wanted
