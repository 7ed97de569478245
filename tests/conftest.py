"""Settings of all tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

# One thread a process, as the workers have: several at once would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# Machines differ in speed and are shared: a slow example is no failure. Fixed examples make a
# red run repeatable.
settings.register_profile("landcover", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("landcover")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and recorded results beside the project, never part of it."""
    if not SHARED.is_dir():
        pytest.skip("no folder ../shared with real data beside the project")
    return SHARED


@pytest.fixture
def checkpoint(shared: Path) -> Path:
    """A recorded checkpoint of guided-diffusion: widths 32 and 64, 2 heads, crops of 32 px."""
    return shared / "fixtures" / "guided_diffusion_tiny.pth"


@pytest.fixture(autouse=True)
def own_gradients() -> Iterator[None]:
    """No test leaves gradients off for those that run after it in the same process."""
    yield
    torch = sys.modules.get("torch")
    assert torch is None or torch.is_grad_enabled(), "this test, or what it imports, left them off"
