"""Pose networks in ONNX files: what they are shown, how their outputs are read, and what becomes of damaged and hostile files."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from stpose_cli.main import run as stpose

from stpose_core.detect import load_detector, onnx, onnx_file, sessions
from stpose_core.detect.finder import Finder
from stpose_core.detect.onnx import OnnxNetwork
from stpose_core.detect.onnx_pose import OnnxDetector, calibrate, decode_maps, decode_simcc, presence
from stpose_core.detect.types import Box
from stpose_core.errors import DetectorError
from stpose_core.skeletons import COCO17, HALPE26
from stpose_core.weights import DETECTOR, FINDER_FILE

models = pytest.importorskip("onnx_models", reason="the package onnx is not installed")

SIZE = (400, 340)
# Standing, seen from the front, in the order of COCO: a body of height 1, x from its middle. The eyes are wide apart.
COCO = np.array([
    (0, 0.11), (0.05, 0.05), (-0.05, 0.05), (0.1, 0.09), (-0.1, 0.09), (0.12, 0.24), (-0.12, 0.24), (0.16, 0.38), (-0.16, 0.38),
    (0.18, 0.52), (-0.18, 0.52), (0.08, 0.52), (-0.08, 0.52), (0.09, 0.74), (-0.09, 0.74), (0.09, 0.95), (-0.09, 0.95),
])  # fmt: skip
BODY = np.round(COCO * 280 + (200, 30))
BOX = Box(*BODY.min(0), *BODY.max(0))


@pytest.fixture(params=["onnxruntime", "openvino"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each runtime as if it were the only one."""
    pytest.importorskip(request.param)
    for name in sessions.RUNTIMES:
        if name != request.param:
            monkeypatch.setitem(sys.modules, name, None)
    return str(request.param)


@pytest.fixture
def pose(tmp_path: Path) -> Path:
    return Path(models.write(tmp_path / "pose.onnx", models.pose_model()))


def refusal(path: Path, *words: str) -> str:
    """What is said of a file that cannot be used: a line with its name."""
    with pytest.raises(DetectorError) as caught:
        load_detector(path, finder="builtin")
    told = str(caught.value)
    assert "\n" not in told
    assert path.name in told
    for word in words:
        assert word in told
    return told


def recorder(detector: OnnxDetector, answer: Callable[[np.ndarray], dict[str, np.ndarray]]) -> None:
    """Another network in the detector's place."""
    size = detector._network.size
    detector._network = type("Recorder", (), {"__call__": lambda self, picture: answer(picture), "size": size})()  # type: ignore[assignment]


def test_simcc_vectors_by_hand() -> None:
    # A view of 4 x 6 pixels with two bins a pixel: bin 5 is 2.5 pixels from the centre of the first, which is at 0.5.
    across, down = np.zeros((2, 8)), np.zeros((2, 12))
    across[0, 5], down[0, 7] = 0.8, 0.6
    across[1, 0], down[1, 11] = 0.3, 0.9
    places, peaks = decode_simcc(across, down, 2)
    np.testing.assert_allclose(places, [(3.0, 4.0), (0.5, 6.0)])
    np.testing.assert_allclose(peaks, [0.6, 0.3])


def test_heat_maps_by_hand() -> None:
    # 48 x 64 cells for 192 x 256 pixels: the centres of the first and the last cell are on those of the first and the last pixel.
    maps = np.zeros((1, 3, 64, 48))
    maps[0, 0, 0, 0] = 0.4
    maps[0, 1, 63, 47] = 0.7
    y, x = np.mgrid[:64, :48]
    maps[0, 2] = 0.9 * np.exp(-((x - 20.3) ** 2 + (y - 40.6) ** 2) / (2 * 2.0**2))
    places, peaks = decode_maps(maps, (192, 256))
    np.testing.assert_allclose(places[:2], [(0.5, 0.5), (191.5, 255.5)], atol=2.1)  # a peak at the very edge is moved by its half
    np.testing.assert_allclose(places[2], (20.3 * 191 / 47 + 0.5, 40.6 * 255 / 63 + 0.5), atol=0.05)
    np.testing.assert_allclose(peaks, [0.4, 0.7, maps[0, 2].max()])


def test_what_is_no_number_is_nowhere() -> None:
    vectors = np.full((1, 8), np.nan)
    assert calibrate(decode_simcc(vectors, vectors, 2)[1]).tolist() == [0]
    assert calibrate(decode_simcc(np.full((1, 8), np.inf), np.ones((1, 8)), 2)[1]).tolist() == [0]
    assert calibrate(decode_maps(np.full((1, 1, 8, 6), np.nan), (24, 32))[1]).tolist() == [0]
    assert calibrate(np.array([-0.2, 0.4, 1.3])).tolist() == [0, 0.4, 1]


def test_joints_without_a_peak_are_flagged_as_not_visible(pose: Path) -> None:
    detector = OnnxDetector(pose, "builtin")
    vectors = np.zeros((1, 17, 384)), np.zeros((1, 17, 512))
    for values in vectors:
        values[:, :3, 10] = 0.7
        values[:, 3] = np.nan
    recorder(detector, lambda picture: dict(zip(("simcc_x", "simcc_y"), vectors)))
    found = detector.pose(models.painted(BODY, SIZE), BOX)
    assert np.isfinite(found.xy).all(1).tolist() == [True] * 3 + [False] * 14
    assert found.score.tolist() == [0.7] * 3 + [0.0] * 14
    for values in vectors:
        values[:] = np.nan
    nobody = detector.pose(models.painted(BODY, SIZE), BOX)
    assert (nobody.presence, nobody.box) == (0.0, BOX)


def test_presence_rises_with_the_better_half_of_the_joints() -> None:
    assert presence(np.full(17, 0.2)) == 0
    assert presence(np.full(17, 0.6)) == 1
    assert presence(np.where(np.arange(17) < 8, 0.0, 0.6)) == 1, "half of the joints may be hidden"


def test_the_view_and_its_values_by_hand(pose: Path) -> None:
    detector = OnnxDetector(pose, "builtin")
    shown: list[np.ndarray] = []

    def record(picture: np.ndarray) -> dict[str, np.ndarray]:
        shown.append(picture[0])
        across, down = np.zeros((1, 17, 384)), np.zeros((1, 17, 512))
        across[..., 0] = down[..., 0] = 1
        return {"simcc_x": across, "simcc_y": down}

    recorder(detector, record)
    # 60 x 240 pixels around (130, 170). 240 pixels of height ask for more than 60 of width: 1.25 * 240 / 256 pixels to one of the
    # view, which so spans 225 x 300 pixels from (17.5, 20) on. Above row 24 the picture has ended.
    image = np.zeros((340, 400, 3), np.uint8)
    image[:] = (200, 100, 50)
    image[168:172, 128:132] = (0, 100, 255)
    found = detector.pose(image[24:], Box(100, 50 - 24, 160, 290 - 24))
    (view,) = shown
    assert view.shape == (3, 256, 192)
    np.testing.assert_allclose(view[:, 60, 20], ((200 - 123.675) / 58.395, (100 - 116.28) / 57.12, (50 - 103.53) / 57.375))
    np.testing.assert_allclose(view[:, 1, 100], (-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375))  # black outside
    rows, columns = np.nonzero(view[0] < -1.5)
    inside = rows > 10
    assert (rows[inside].mean() + 0.5, columns[inside].mean() + 0.5) == pytest.approx((128, 96), abs=0.1)
    # The first bins are the centre of the view's first pixel.
    np.testing.assert_allclose(found.xy[0], (17.5 + 0.5 * 1.171875, 20 - 24 + 0.5 * 1.171875))


@pytest.mark.parametrize(
    "options",
    [{}, {"heatmaps": True}, {"half": True}, {"names": ("b", "a")}, {"names": ("a", "b"), "size": (144, 192)}],
    ids=["simcc", "heat maps", "float16", "y before x", "another size"],
)
def test_joints_are_found_in_pictures(runtime: str, tmp_path: Path, options: dict[str, Any]) -> None:
    path = models.write(tmp_path / "some.onnx", models.pose_model(**options))
    detector: Any = load_detector(path, finder="builtin")
    assert (detector.name, detector.skeleton, detector.maps) == ("some", "coco17", None)
    image = models.painted(BODY, SIZE)
    found = detector.pose(image, BOX)
    np.testing.assert_allclose(found.xy, BODY + 0.5, atol=4)
    assert found.score.min() > 0.4
    assert found.presence > 0.9
    again = detector.pose(image, found.box)
    np.testing.assert_allclose(again.xy, BODY + 0.5, atol=4)
    # Negative controls: blue for red, and nothing but grey.
    assert np.median(np.linalg.norm(detector.pose(image[..., ::-1].copy(), BOX).xy - BODY, axis=1)) > 20
    nobody = detector.pose(np.full_like(image, 128), BOX)
    assert nobody.presence == 0
    assert nobody.score.max() < 1e-3


def test_both_runtimes_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    path = models.write(tmp_path / "pose.onnx", models.pose_model(26))
    picture = np.random.default_rng(0).normal(size=(1, 3, 256, 192))
    one = OnnxNetwork(path)(picture)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    other = OnnxNetwork(path)(picture)
    assert list(one) == list(other) == ["simcc_x", "simcc_y"]
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-4)


def test_somebody_who_lies_is_seen_upright(tmp_path: Path, pose: Path) -> None:
    detector: Any = load_detector(pose, finder="builtin")
    lying = np.column_stack([370 - BODY[:, 1], BODY[:, 0] - 40])  # a quarter turn clockwise
    found = detector.pose(models.painted(lying, SIZE), Box(80, 40, 300, 300, 1.0, np.pi / 2))
    np.testing.assert_allclose(found.xy, lying + 0.5, atol=4)
    assert found.box.angle == pytest.approx(np.pi / 2, abs=0.2)


@pytest.mark.parametrize(("joints", "skeleton"), [(17, COCO17), (26, HALPE26), (133, COCO17)])
def test_the_number_of_joints_says_which_they_are(tmp_path: Path, joints: int, skeleton: Any) -> None:
    detector: Any = load_detector(models.write(tmp_path / "a.onnx", models.pose_model(joints)), finder="builtin")
    assert detector.skeleton == skeleton.name
    found = detector.pose(models.painted(BODY, SIZE, joints=joints), BOX)
    assert found.xy.shape == (len(skeleton.joints), 2)
    assert found.score.shape == (len(skeleton.joints),)
    np.testing.assert_allclose(found.xy[:17], BODY + 0.5, atol=4)


def test_other_networks_are_refused(runtime: str, tmp_path: Path) -> None:
    def made(**options: Any) -> Path:
        return Path(models.write(tmp_path / "other.onnx", models.pose_model(**options)))

    refusal(made(joints=21), "21 joints", "17, 26, 133")
    refusal(Path(models.write(tmp_path / "boxes.onnx", models.box_model(np.zeros((4, 5)), (64, 64)))), "dets 1x4x5", "simcc_x")
    node = models.helper.make_node
    for shape, told in (
        (("b", 3, "h", "w"), "fixed size"),
        ((1, 4, 8, 8), "1x4x8x8"),
        ((2, 3, 8, 8), "2x3x8x8"),
        ((1, 3, 10**6, 10**6), "2048"),
    ):
        refusal(models.write(tmp_path / "a.onnx", models.model([node("Relu", ["input"], ["out"])], shape=shape)), told)
    integers = models.model([node("Identity", ["input"], ["out"])], kind=models.TensorProto.INT64)
    refusal(models.write(tmp_path / "a.onnx", integers), "not float")
    two = models.model([node("Add", ["input", "more"], ["out"])])
    two.graph.input.append(models.helper.make_tensor_value_info("more", models.TensorProto.FLOAT, [1, 3, 8, 8]))
    refusal(models.write(tmp_path / "a.onnx", two), "not one picture")
    unknown = models.model([node("Wonder", ["input"], ["out"], domain="nowhere")])
    refusal(models.write(tmp_path / "a.onnx", unknown), "cannot be loaded")


def test_damaged_files_are_refused_in_a_line(runtime: str, tmp_path: Path, pose: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole, path = pose.read_bytes(), tmp_path / "damaged.onnx"
    for content in (b"", b"no network", b"\x00" * 100, b"\x08\x07", whole[: len(whole) // 2], whole[:-1], b"PK\x03\x04" + whole):
        path.write_bytes(content)
        refusal(path)
    random = np.random.default_rng(0)
    structure = np.flatnonzero([byte < 128 for byte in whole])
    told_at_length = 0
    for _ in range(30):
        content = bytearray(whole)
        for at in random.choice(structure, 3):
            content[at] = random.integers(256)
        path.write_bytes(content)
        try:
            load_detector(path, finder="builtin")
        except DetectorError as error:
            told_at_length += "\n" in str(error)
    assert not told_at_length
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    refusal(folder, "there is no file")
    refusal(tmp_path / "none.onnx", "there is no file")
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")


def test_the_command_tells_a_damaged_file_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no network")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"")
    import cv2

    assert cv2.imwrite(str(picture), np.zeros((20, 20, 3), np.uint8))
    assert stpose(["pose", str(picture), "-o", str(tmp_path / "out.json"), "--detector", str(damaged)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "damaged.onnx is not an ONNX file" in told.err
    assert not (tmp_path / "out.json").exists()


def test_hostile_files_take_no_memory_and_no_time(runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="peaks of memory are not told here")
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    path = tmp_path / "hostile.onnx"
    refusal(models.write(path, models.expanding(6)))
    refusal(models.write(path, models.doubling(40)), "functions")
    for place in ("/dev/zero", "../weights", "weights"):
        refusal(models.write(path, models.elsewhere(place)), "another file")
    refusal(models.write(path, models.endless()), "loops")
    monkeypatch.setattr(onnx, "TRIAL_SECONDS", 0.05)
    refusal(models.write(path, models.slow()), "longer than")
    assert time.monotonic() - began < 20
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6 < 1, "gigabytes"


def test_files_of_absurd_size_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.onnx"
    path.touch()
    os.truncate(path, 3 * 2**30)  # takes no room on the disk
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    refusal(path, "3.2 GB")
    monkeypatch.undo()
    monkeypatch.setattr(onnx_file, "MOST_NODES", 3)
    refusal(Path(models.write(path, models.pose_model())), "too many parts")


def test_without_a_runtime_both_are_named(pose: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in sessions.RUNTIMES:
        monkeypatch.setitem(sys.modules, name, None)
    refusal(pose, "needs a package that runs ONNX files; install it with: pip install", "onnx")


def test_cuda_is_used_only_where_it_is(runtime: str, pose: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if runtime == "onnxruntime" and "CUDAExecutionProvider" in sys.modules["onnxruntime"].get_available_providers():
        pytest.skip("this onnxruntime has cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(DetectorError, match="onnxruntime-gpu"):
        load_detector(pose, device="cuda", finder="builtin")
    assert load_detector(pose, device="cpu", finder="builtin").name == "pose"


def test_the_builtin_finder_finds_people_unless_there_is_another_one(tmp_path: Path, pose: Path) -> None:
    from stpose_core.video import read_frames

    walk = Path(__file__).parents[1] / "examples" / "walk.mp4"
    image = np.ascontiguousarray(next(iter(read_frames(walk))).image[::3, ::3])
    alone: Any = load_detector(pose)
    assert alone.find(image) == Finder(DETECTOR / FINDER_FILE).find(image) != []
    assert len(alone.find(image, thorough=True)) >= len(alone.find(image))
    models.write(tmp_path / "yolox_m.onnx", models.box_model(np.array([[8, 8, 24, 56, 0.9]]), (64, 64)))
    beside: Any = load_detector(pose)
    assert [box.score for box in beside.find(image)] == pytest.approx([0.9])
    chosen: Any = load_detector(pose, finder="builtin")
    assert isinstance(chosen._finder, Finder)
    with pytest.raises(DetectorError, match="begin with yolox or rtmdet"):
        load_detector(pose, finder=pose)


def test_boxes_of_a_person_detector(runtime: str, tmp_path: Path, pose: Path) -> None:
    rows = np.array([
        [8, 8, 24, 56, 0.5], [30, 8, 46, 56, 0.9], [0, 0, 9, 9, 0.2], [0, 0, 9, 9, 0.05], [50, 8, 40, 56, 0.8],
        [5, 5, 9, 9, np.nan], [1, 1, 20, 20, 0.95],
    ])  # fmt: skip
    path = models.write(tmp_path / "yolox_s.onnx", models.box_model(rows, (64, 64), [0, 0, 0, 0, 0, 0, 16]))
    detector: Any = load_detector(pose, finder=path)
    # A picture of 128 x 96 is shown at half its size, at the top left.
    first, second = detector.find(np.zeros((96, 128, 3), np.uint8))
    assert (first.x0, first.y0, first.x1, first.y1, round(first.score, 3)) == (60, 16, 92, 112, 0.9)
    assert (second.x0, second.score) == (16, 0.5)
    assert len(detector.find(np.zeros((96, 128, 3), np.uint8), thorough=True)) == 3
    with pytest.raises(DetectorError, match=r"yolox_pose.onnx gives no boxes .* but simcc_x"):
        load_detector(pose, finder=models.write(tmp_path / "yolox_pose.onnx", models.pose_model()))


@pytest.mark.parametrize(
    ("kind", "colour", "value"),
    [
        ("yolox", (200, 0, 0), 200.0),
        ("yolox", (10, 20, 30), 114.0),  # what fills the picture up
        ("rtmdet", (255, 0, 0), (255 - 123.675) / 58.395),
        ("rtmdet", (0, 0, 255), (255 - 103.53) / 57.375),
    ],
)
def test_a_person_detector_is_shown_what_it_was_trained_on(
    tmp_path: Path, pose: Path, kind: str, colour: tuple[int, int, int], value: float
) -> None:
    """The network adds the highest value that it is shown to the score."""
    path = models.write(tmp_path / f"{kind}.onnx", models.box_model(np.array([[8, 8, 24, 56, 0.5 - value]]), (64, 64)))
    image = np.zeros((96, 128, 3), np.uint8)
    image[:] = colour
    (box,) = load_detector(pose, finder=path).find(image)  # type: ignore[union-attr]
    assert box.score == pytest.approx(0.5, abs=1e-3)


def test_from_a_video_to_a_motion_with_nothing_but_onnx(tmp_path: Path, pose: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = tmp_path / "walk.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast", "crf": "10"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(30):
            image = models.painted(BODY + (number, 0), SIZE, half=5)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    around = np.array([[BOX.x0 - 20, BOX.y0 - 20, BOX.x1 + 40, BOX.y1 + 20, 320]]) * 256 / 400
    around[0, 4] = 0.9
    models.write(tmp_path / "yolox_tiny.onnx", models.box_model(around, (256, 256)))
    out = tmp_path / "walk.npz"
    assert stpose(["mocap", str(video), "-o", str(out), "--detector", str(pose), "--progress", "json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["event"], result["detector"], result["people"], result["seen"]) == ("result", "pose", 1, [1.0])
    import stpose_core as sp

    keypoints = sp.load_capture(out).keypoints
    truth = BODY[None] + 0.5 + np.column_stack([np.arange(30), np.zeros(30)])[:, None]
    assert np.median(np.linalg.norm(keypoints.xy - truth, axis=-1)) < 3
