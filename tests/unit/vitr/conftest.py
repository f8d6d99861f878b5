from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def seeded(one_seeded_thread):
    """Every test here has a network."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
