"""The table of what is found of the camera in real clips."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fakes import BarDetector, film
from scipy.spatial.transform import Rotation

from stpose_core.data import Camera, CameraPath


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    file = Path(__file__).parents[1] / "benchmarks" / "camera_motion.py"
    spec = importlib.util.spec_from_file_location("benchmark_camera_motion", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_clip_is_watched_with_its_people_and_described(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "a.mp4", 25, 20)
    (tmp_path / "notes.txt").touch()
    monkeypatch.setattr(benchmark, "load_detector", lambda name: BarDetector())
    (clip,) = benchmark.clips_in((tmp_path,))
    path, spent = benchmark.camera_of(clip)
    assert len(path) == 20
    assert spent > 0
    assert benchmark.described("a.mp4", path, 2.0).startswith("| a.mp4 | 20 | static | 1 | 0.00 | 1.00 |")


def test_the_row_of_a_moving_camera(benchmark: ModuleType) -> None:
    path = CameraPath.still(Camera(500.0, (320.0, 240.0)), 10)
    rotation = Rotation.from_euler("y", np.arange(10.0)[:, None], degrees=True).as_matrix()
    moving = CameraPath(
        path.focal * np.linspace(1, 1.5, 10), path.centre, rotation, path.position, path.confidence, path.shot, False
    )
    assert benchmark.described("b", moving, 1.0) == "| b | 10 | moving | 1 | 9.00 | 1.50 | 1.00 | 1.0 |"
