"""Detectors by name: what is loaded, what is said if it is missing, and MediaPipe's networks on a clip of the project."""

from __future__ import annotations

import importlib
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stpose_core.detect import load_detector
from stpose_core.detect.mediapipe import SHARE, calibrate, circle_box, quiet, square_to_image, tiles, without_repeats
from stpose_core.detect.rtmpose import FILES, model_folder
from stpose_core.detect.types import Box
from stpose_core.errors import DetectorError
from stpose_core.weights import FINDER_FILE, SPATIAL_FILE

WALK = Path(__file__).parents[1] / "examples" / "walk.mp4"


def missing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in ("stpose_core.detect", "stpose_core.detect.builtin"):
        monkeypatch.setattr(f"{module}.DETECTOR", tmp_path)
    missing(monkeypatch, "mediapipe")
    monkeypatch.setenv("STPOSE_MODELS", str(tmp_path))
    for name in ("mediapipe", "auto"):
        with pytest.raises(DetectorError, match="pip install"):
            load_detector(name)
    with pytest.raises(DetectorError, match="has no weights"):
        load_detector("builtin")
    with pytest.raises(DetectorError, match="no file of that name"):
        load_detector("nonsense")
    with pytest.raises(DetectorError, match="no such"):
        load_detector("mediapipe", model="none.task")


def test_rtmpose_is_the_published_file_and_where_it_belongs_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[tuple[Path, dict[str, Any]]] = []
    monkeypatch.setattr("stpose_core.detect._onnx", lambda path, **options: made.append((path, options)))
    monkeypatch.setenv("STPOSE_MODELS", str(tmp_path))
    with pytest.raises(DetectorError) as caught:
        load_detector("rtmpose")
    told = str(caught.value)
    for words in (str(tmp_path), f"{FILES['balanced']}.onnx", "end2end.onnx", "github.com/open-mmlab/mmpose", "STPOSE_MODELS"):
        assert words in told
    assert "\n" not in told
    for mode in ("lightweight", "performance", "balanced"):
        path = tmp_path / f"{FILES[mode]}.onnx"
        path.touch()
        load_detector("rtmpose", device="cpu")
        assert made[-1] == (path, {"name": "rtmpose", "device": "cpu"}), "the best that is there"
    load_detector("rtmpose", mode="lightweight")
    assert made[-1][0].name.startswith("rtmpose-s")
    with pytest.raises(DetectorError, match="unknown rtmpose mode 'fast'"):
        load_detector("rtmpose", mode="fast")


def test_models_are_in_the_cache_unless_a_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STPOSE_MODELS", raising=False)
    monkeypatch.setenv("STPOSE_CACHE", str(tmp_path / "cache"))
    assert model_folder() == tmp_path / "cache" / "models"
    monkeypatch.delenv("STPOSE_CACHE")
    missing(monkeypatch, "platformdirs")
    with pytest.raises(DetectorError, match="STPOSE_MODELS"):
        load_detector("rtmpose")


def test_auto_takes_the_builtin_one_where_nothing_else_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing(monkeypatch, "mediapipe")
    monkeypatch.setenv("STPOSE_MODELS", str(tmp_path))
    monkeypatch.setattr("stpose_core.detect._builtin", lambda **options: "builtin")
    monkeypatch.setattr("stpose_core.detect.DETECTOR", tmp_path)
    with pytest.raises(DetectorError, match="no detector is installed"):
        load_detector("auto")
    for name in (SPATIAL_FILE, FINDER_FILE):
        (tmp_path / name).write_bytes(b"weights that have not passed")
    assert load_detector("auto") == "builtin"


def test_auto_takes_rtmpose_only_where_its_file_is_and_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing(monkeypatch, "mediapipe")
    monkeypatch.setenv("STPOSE_MODELS", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    monkeypatch.setattr("stpose_core.detect._builtin", lambda **options: "builtin")
    monkeypatch.setattr("stpose_core.detect._onnx", lambda path, **options: path.name)
    assert load_detector("auto") == "builtin"
    (tmp_path / f"{FILES['balanced']}.onnx").touch()
    assert load_detector("auto") == f"{FILES['balanced']}.onnx"
    missing(monkeypatch, "onnxruntime", "openvino")
    assert load_detector("auto") == "builtin"


def test_a_closed_standard_error_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("os.dup", refuse)
    with quiet():
        pass


def test_a_picture_without_an_answer_does_not_get_the_one_before() -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    detector: Any = load_detector("mediapipe")
    graph = detector._search
    assert set(graph(np.zeros((224, 224, 3), np.uint8))) == {"places", "scores"}
    graph._graph = types.SimpleNamespace(add_packet_to_input_stream=lambda *_: None, wait_until_idle=lambda: None)
    with pytest.raises(DetectorError, match="no places and no scores"):
        graph(np.zeros((224, 224, 3), np.uint8))


def test_a_wheel_without_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = types.ModuleType("mediapipe")
    fake.__file__, fake.__version__ = str(tmp_path / "__init__.py"), "1.2.3"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mediapipe", fake)
    with pytest.raises(DetectorError, match=r"mediapipe 1\.2\.3 has no pose models.*\.task"):
        load_detector("mediapipe")


def test_scores_rise_and_stay_within_what_was_measured() -> None:
    score = calibrate(np.linspace(0, 1, 101))
    assert (np.diff(score) >= 0).all()
    assert score.min() >= 0
    assert score.max() == SHARE[-1] < 1


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.5, 3.0])
def test_the_turned_square_shows_the_person_upright(angle: float) -> None:
    hip, up = np.array([200.0, 150.0]), np.array([np.sin(angle), -np.cos(angle)])
    box = circle_box(hip, hip + 80 * up, 0.9)
    to_image = square_to_image(box, 256)
    middle, above = to_image @ [128, 128, 1], to_image @ [128, 128 - 128 / 1.25, 1]
    np.testing.assert_allclose(middle, hip, atol=1e-9)
    np.testing.assert_allclose(above, hip + 80 * up, atol=1e-9)


def test_a_wide_picture_is_searched_in_squares_too() -> None:
    parts = tiles(np.zeros((100, 250, 3), np.uint8))
    assert [part.shape[:2] for _, _, part in parts] == [(100, 250)] + [(100, 100)] * (len(parts) - 1)
    assert parts[-1][0] + 100 == 250
    assert len(tiles(np.zeros((100, 110, 3), np.uint8))) == 1


def test_one_box_a_person() -> None:
    boxes = [Box(0, 0, 100, 100, 0.8), Box(5, 5, 105, 105, 0.9), Box(200, 0, 300, 100, 0.7), Box(400, 0, 500, 100, 0.7, 3.0)]
    assert [box.score for box in without_repeats(boxes)] == [0.9, 0.7]


def frames(count: int) -> list[np.ndarray]:
    from stpose_core.video import read_frames

    if not WALK.is_file():
        pytest.skip("examples/walk.mp4 is not there")
    found = []
    for frame in read_frames(WALK):
        found.append(frame.image)
        if len(found) == count:
            break
    return found


def check_walker(detector: Any, images: list[np.ndarray]) -> None:
    """One person found, the pose the same when looked at from its own box, and nobody in the empty half of the picture."""
    boxes = detector.find(images[0])
    assert boxes
    pose = detector.pose(images[0], boxes[0])
    again = detector.pose(images[0], pose.box)
    assert min(pose.presence, again.presence) > 0.9
    assert np.median(np.linalg.norm(pose.xy - again.xy, axis=1)) < 0.05 * pose.box.size
    nose, hips, ankles = pose.xy[0], pose.xy[23:25].mean(axis=0), pose.xy[27:29].mean(axis=0)
    assert nose[1] < hips[1] < ankles[1]
    assert detector.find(np.full_like(images[0], 120)) == []
    # Negative control: turned upside down, so is the pose.
    turned = np.ascontiguousarray(images[0][::-1, ::-1])
    centre = np.array([turned.shape[1], turned.shape[0]]) - pose.box.centre
    half = pose.box.size / 2
    upset = detector.pose(turned, Box(*(centre - half), *(centre + half), 1.0, pose.box.angle + np.pi))
    assert upset.xy[0, 1] > upset.xy[27:29, 1].mean()


def test_mediapipe_on_the_walker() -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    detector: Any = load_detector("mediapipe")
    check_walker(detector, frames(1))


def test_mediapipe_follows_the_walker() -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    from stpose_core.track.tracker import PeopleTracker
    from stpose_core.video import read_frames

    if not WALK.is_file():
        pytest.skip("examples/walk.mp4 is not there")
    tracker, count = PeopleTracker(load_detector("mediapipe")), 0  # type: ignore[arg-type]
    for frame in read_frames(WALK, end=2.0):
        tracker.update(frame)
        count += 1
    (track,) = tracker.tracks
    assert len(track) >= 0.95 * count


def test_mediapipe_task_file(tmp_path: Path) -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    try:
        from stpose_core.detect.mediapipe import bundled_models

        search, pose = bundled_models()
        writer = importlib.import_module("mediapipe.tasks.python.metadata.metadata_writers.metadata_writer").MetadataWriter
    except (DetectorError, ImportError):
        pytest.skip("this mediapipe has no models to make a .task file of")
    task = tmp_path / "pose.task"
    with zipfile.ZipFile(task, "w", zipfile.ZIP_STORED) as archive:
        for name, path, mean, std in (("pose_detector", search, 127.5, 127.5), ("pose_landmarks_detector", pose, 0.0, 255.0)):
            made = writer.create(path.read_bytes())
            made.add_image_input([mean], [std])
            archive.writestr(f"{name}.tflite", bytes(made.populate()[0]))
    detector: Any = load_detector("mediapipe", model=task)
    try:
        check_walker(detector, frames(1))
    finally:
        detector.close()
    task.write_bytes(b"PK nothing")
    with pytest.raises(DetectorError, match=r"pose\.task"):
        load_detector(task)
