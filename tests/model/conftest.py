"""How many interleavings are played, and from which seed on."""

from __future__ import annotations

import pytest


@pytest.fixture
def interleavings(request: pytest.FixtureRequest) -> int:
    """`--interleavings`."""
    return int(request.config.getoption("--interleavings"))


@pytest.fixture
def model_seed(request: pytest.FixtureRequest) -> int:
    """`--model-seed`."""
    return int(request.config.getoption("--model-seed"))
