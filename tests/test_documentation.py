"""What the documentation cites is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_every_test_that_is_cited_exists(document: Path) -> None:
    cited = re.findall(r"`((?:osc|tests|bench|docker)/[\w./-]*)(?:::(\w+))?`", document.read_text())
    missing = [f"{path}::{name}" for path, name in cited if not _exists(ROOT / path, name)]
    assert missing == []
    assert cited or document.name != "safety.md"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_page_that_is_linked_exists(document: Path) -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    assert [path for path in linked if not (document.parent / path).exists()] == []


def test_the_safety_page_names_a_test_in_each_of_its_rows() -> None:
    rows = [line for line in (ROOT / "docs" / "safety.md").read_text().splitlines() if line.startswith("| ")]
    claims = [row for row in rows if not row.startswith(("| what could", "| ---"))]
    assert len(claims) > 20
    assert [row for row in claims if "`tests/" not in row] == []


def _exists(path: Path, name: str) -> bool:
    if not path.exists():
        return False
    return not name or any(
        isinstance(node, ast.FunctionDef) and node.name == name for node in ast.walk(ast.parse(path.read_text()))
    )
