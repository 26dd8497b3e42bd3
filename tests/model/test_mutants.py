"""Every rule of the core is needed: without it, the model loses a row or verification cries wolf."""

from __future__ import annotations

import pytest

from tests.model.core import Core
from tests.model.mutants import MUTANTS, Mutant
from tests.model.report import catch


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_model_finds_the_mistake(mutant: Mutant) -> None:
    caught = catch(mutant)
    assert caught is not None, f"{mutant.name}: survived"
    print(caught)
    assert caught.shortest.violation(Core()) is None, "the same sequence is harmless with the rule"
