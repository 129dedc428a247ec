"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Networks that tests compile are not kept among the user's, nor taken from there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STPOSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
