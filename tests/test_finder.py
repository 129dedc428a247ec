"""The finder: its size, what it is fed, what it learns, how people are read from its maps, and how a run resumes.

The frames are made up here: upright bars with a dot as their head, which a small network learns to find in seconds.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from stpose_cli.main import run as stpose
from stpose_training.finder.feed import (
    FOUND,
    NO_PERSON,
    UNCLEAR,
    WIDE,
    FrameBatch,
    collate_frames,
    drawn_frame,
    drawn_mosaic,
    feed_frames,
    seen_frame,
)  # fmt: skip
from stpose_training.finder.losses import finder_loss, targets
from stpose_training.finder.measure import held_out_frames, judge_finder
from stpose_training.finder.recipe import Recipe
from stpose_training.finder.run import FinderRun, train_finder
from stpose_training.loop import make_fabric
from stpose_training.synth.cache import decode, read_shard
from stpose_training.synth.pictures import VISIBLE
from stpose_training.vision.recipe import Paths

from stpose_core.detect.networks import load_finder, load_spatial
from stpose_core.detect.search import find_people, letterbox, peaks
from stpose_core.errors import FormatError, TrainingError, WeightsError
from stpose_core.networks.configs import CELL, MULTIPLE, FinderConfig
from stpose_core.networks.finder import FinderNetwork, FinderOutput
from stpose_core.networks.spatial import count_multiplications

TINY = FinderConfig(side=192, stem=8, widths=(12, 24, 32), blocks=1, head=24)
FRAME = (192, 144)
WHOLE = np.array([[1, 0, 0], [0, 1, 0]], np.float64)
# Shares of the box's width and height, in the order of h36m17.
JOINTS = np.array([
    (0.5, 0.5), (0.4, 0.5), (0.4, 0.7), (0.4, 0.95), (0.6, 0.5), (0.6, 0.7), (0.6, 0.95), (0.5, 0.4), (0.5, 0.2), (0.5, 0.1),
    (0.5, 0.02), (0.7, 0.22), (0.8, 0.35), (0.9, 0.5), (0.3, 0.22), (0.2, 0.35), (0.1, 0.5),
])  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def write_frames(folder: Path, part: str, number: int, count: int = 16) -> None:
    """A shard of frames with no, one or two bars in them."""
    random = np.random.default_rng(number + 1000 * (part == "frames-train"))
    joints, box = np.zeros((count, 3, 17, 2), np.float32), np.zeros((count, 3, 4), np.float32)
    state = np.zeros((count, 3, 17), np.uint8)
    pages = []
    for row in range(count):
        picture = random.integers(20, 90, (FRAME[1], FRAME[0], 3)).astype(np.uint8)
        for person in range(row % 3):
            height = float(random.uniform(50, 110))
            left, top = random.uniform(0, 55) + 95 * person, random.uniform(0, FRAME[1] - height)
            box[row, person] = (left, top, left + height / 3, top + height)
            low, high = box[row, person, :2], box[row, person, 2:]
            joints[row, person], state[row, person] = low + JOINTS * (high - low), VISIBLE
            cv2.rectangle(picture, low.astype(int).tolist(), high.astype(int).tolist(), (40, 200, 250), -1)
            head = (int(left + height / 6), int(top + height / 8))
            cv2.circle(picture, head, int(height / 10), (250, 40, 40), -1)
        pages.append(cv2.imencode(".png", picture)[1].reshape(-1))
    np.savez(
        folder / f"{part}-{number:05d}.npz",
        bytes=np.concatenate(pages),
        lengths=np.array([len(page) for page in pages]),
        joints=joints,
        state=state,
        box=box,
        xyz=np.zeros((count, 3, 17, 3), np.float32),
        mask=np.zeros((count, 36, 48), np.uint8),
        pixels=np.zeros(count, np.float32),
        tilt=np.zeros(count, np.float32),
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    for number in range(2):
        write_frames(folder, "frames-train", number)
    write_frames(folder, "frames-validation", 0)
    return folder


def batch_of(boxes: list[tuple[float, ...]], who: list[int], size: tuple[int, int] = (128, 64)) -> FrameBatch:
    return FrameBatch(
        torch.zeros(1, 3, size[1], size[0]),
        torch.tensor([boxes], dtype=torch.float32),
        torch.tensor([[(0.0, -1.0)] * len(boxes)]),
        torch.tensor([who]),
    )


def perfect(batch: FrameBatch, height: int, width: int) -> FinderOutput:
    """What a network should say of a batch."""
    target = targets(batch, height, width)
    x, y = (torch.arange(width) + 0.5) * CELL, ((torch.arange(height) + 0.5) * CELL)[:, None]
    box = batch.boxes[torch.arange(len(batch.boxes))[:, None, None], target.owner]
    sides = torch.stack([x - box[..., 0], y - box[..., 1], box[..., 2] - x, box[..., 3] - y], 1).clamp(min=0.1)
    up = torch.zeros(len(box), 2, height, width)
    up[:, 1] = -3
    return FinderOutput(torch.where(target.centre == 1, 9.0, -9.0), sides, up)


def test_it_costs_less_than_half_a_billion_multiplications(capsys: pytest.CaptureFixture[str]) -> None:
    network = FinderNetwork(FinderConfig())
    billions = count_multiplications(network, (320, 192)) / 1e9
    with capsys.disabled():
        print(f"\nfinder: {billions:.2f} GMAC, {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters")
    assert billions < 0.5
    output = network.eval()(torch.zeros(2, 3, 192, 320))
    assert (output.centre.shape, output.sides.shape, output.up.shape) == ((2, 24, 40), (2, 4, 24, 40), (2, 2, 24, 40))
    assert (output.sides > 0).all()
    assert output.centre.sigmoid().mean() < 0.05, "nobody is found before it has learned"


def test_what_a_weights_file_says_of_a_finder_is_not_trusted() -> None:
    assert FinderConfig.from_dict(FinderConfig().to_dict()) == FinderConfig()
    for wrong in ({"side": 10**6}, {"widths": [24]}, {"widths": "abc"}, {"widths": [24, 10**5]}, {"blocks": 2.0}, {"depth": 1}):
        with pytest.raises(ValueError):
            FinderConfig.from_dict({**FinderConfig().to_dict(), **wrong})


@pytest.mark.parametrize("size", [(1920, 1080), (300, 400), (64, 900), (320, 200)])
def test_people_are_read_off_where_they_are_in_pictures_of_any_size(size: tuple[int, int]) -> None:
    truth = np.array([0.3, 0.2, 0.55, 0.9]) * (*size, *size)

    def look(picture: np.ndarray) -> tuple[np.ndarray, ...]:
        assert picture.shape[0] % MULTIPLE == picture.shape[1] % MULTIPLE == 0
        assert max(picture.shape) in (320, 640)
        if max(picture.shape) == 640:  # the second look finds the same person again
            scale = 640 / max(size)
        else:
            scale = 320 / max(size)
        height, width = picture.shape[0] // CELL, picture.shape[1] // CELL
        output = perfect(batch_of([tuple(truth * scale)], [FOUND]), height, width)
        return tuple(values[0].numpy() for values in (output.centre, output.sides, output.up))

    (box,) = find_people(np.zeros((size[1], size[0], 3), np.uint8), look, 320)  # type: ignore[arg-type]
    np.testing.assert_allclose((box.x0, box.y0, box.x1, box.y1), truth, atol=0.03 * max(size))
    assert box.score > 0.99
    assert abs(box.angle) < 1e-6


def test_nobody_is_found_where_no_peak_is_high_enough() -> None:
    centre = np.full((8, 16), -3.0, np.float32)
    sides, up = np.full((4, 8, 16), 20, np.float32), np.ones((2, 8, 16), np.float32)
    assert peaks((centre, sides, up), 0.35) == []
    centre[3, 5], centre[3, 6], centre[6, 12] = 2.0, 1.0, 0.5
    first, second = peaks((centre, sides, up), 0.35)
    assert first.centre.tolist() == [5.5 * CELL, 3.5 * CELL], "a cell beside a peak is none"
    assert second.centre.tolist() == [12.5 * CELL, 6.5 * CELL]
    assert first.angle == pytest.approx(3 * np.pi / 4), "right and down is three eighths clockwise from up"


def test_a_picture_is_shown_whole_and_its_rest_is_grey() -> None:
    shown, scale = letterbox(np.full((270, 480, 3), 200, np.uint8), 320)
    assert shown.shape == (192, 320, 3)
    assert scale == pytest.approx(320 / 480)
    assert (shown[:178, :318] == 200).all()
    assert (shown[182:] == 127).all()


def test_labels_follow_the_frame_however_it_is_seen(cache: Path) -> None:
    shard = read_shard(cache / "frames-train-00000.npz")
    right = found = 0
    for seed in range(60):
        view = drawn_frame(shard, np.random.default_rng(seed), WIDE)
        assert view.picture.shape == (WIDE[1], WIDE[0], 3)
        for box, up in zip(view.boxes[view.who == FOUND], view.up[view.who == FOUND]):
            found += 1
            assert ((box >= 0) & (box <= (*WIDE, *WIDE))).all()
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            # The file was written in OpenCV's order.
            right += np.abs(view.picture[y, x].astype(int) - (250, 200, 40)).sum() < 60 or box[2] - box[0] < 15
            assert np.linalg.norm(up) == pytest.approx(1)
    assert found > 20
    assert right / found > 0.8


def test_who_is_hardly_seen_need_not_be_found(cache: Path) -> None:
    shard = read_shard(cache / "frames-train-00000.npz")
    row = 1
    picture, box = decode(shard.jpeg[row]), shard.box[row, 0]
    assert seen_frame(shard, row, picture, WHOLE, FRAME).who.tolist() == [FOUND, NO_PERSON, NO_PERSON]
    gone = WHOLE.copy()
    gone[0, 2] = -box[2] + 2  # two pixels of the person are left
    assert seen_frame(shard, row, picture, gone, FRAME).who.tolist() == [UNCLEAR, NO_PERSON, NO_PERSON]
    gone[0, 2] = -box[2] - 2
    assert seen_frame(shard, row, picture, gone, FRAME).who.tolist() == [NO_PERSON] * 3
    assert seen_frame(shard, row, picture, 0.09 * WHOLE, FRAME).who[0] == UNCLEAR, "too small"


def test_mosaics_hold_many_people_and_their_boxes_stay_in_their_parts(cache: Path) -> None:
    shard = read_shard(cache / "frames-train-00000.npz")
    counts = []
    for seed in range(12):
        view = drawn_mosaic(shard, np.random.default_rng(seed), (256, 256))
        assert len(view.who) == len(view.boxes) == len(view.up) == 27
        boxes = view.boxes[view.who == FOUND]
        assert ((boxes >= 0) & (boxes <= 256)).all()
        counts.append(len(boxes))
    assert max(counts) > 3


def test_a_loss_is_least_at_the_truth_and_leaves_out_who_is_unclear() -> None:
    batch = batch_of([(20, 8, 60, 56), (80, 10, 110, 50)], [FOUND, UNCLEAR])
    best = perfect(batch, 8, 16)
    loss, parts = finder_loss(best, batch, Recipe())
    assert loss < 0.01
    assert parts["box"] < 0.01
    assert targets(batch, 8, 16).centre.max() == 1
    for change, name in (("centre", "centre"), ("sides", "box"), ("up", "up")):
        worse = FinderOutput(best.centre.clone(), best.sides.clone(), best.up.clone())
        setattr(worse, change, {"centre": best.centre.roll(3, 2), "sides": best.sides * 1.5, "up": -best.up}[change])
        assert finder_loss(worse, batch, Recipe())[1][name] > parts[name] + 0.2
    seen = FinderOutput(best.centre.clone(), best.sides, best.up)
    seen.centre[0, 3, 11] = 9.0  # inside of the box of the one who is unclear
    assert finder_loss(seen, batch, Recipe())[1]["centre"] == pytest.approx(parts["centre"], abs=1e-4)
    seen.centre[0, 0, 15] = 9.0
    assert finder_loss(seen, batch, Recipe())[1]["centre"] > parts["centre"] + 1


def test_an_empty_frame_has_a_loss_too() -> None:
    batch = batch_of([(0, 0, 0, 0)], [NO_PERSON])
    output = FinderOutput(torch.full((1, 8, 16), 5.0), torch.ones(1, 4, 8, 16), torch.zeros(1, 2, 8, 16))
    loss, parts = finder_loss(output, batch, Recipe())
    assert torch.isfinite(loss)
    assert parts["centre"] > 1
    assert parts["box"] == parts["up"] == 0


def test_a_run_learns_resumes_and_writes_weights_that_a_detector_reads(cache: Path, tmp_path: Path) -> None:
    write_frames(cache, "train", 0)  # for the mosaics
    out, state, said = tmp_path / "finder.safetensors", tmp_path / "run", []
    paths = Paths(cache=cache, output=out, state=state)
    fabric = make_fabric("cpu", "32-true")
    recipe = Recipe(samples=320, batch=8, rate=6e-3, warmup=40, ema=60, judge_every=160, save_every=160, precision="32-true")
    before = judge_finder(FinderNetwork(TINY).eval(), held_out_frames(cache), torch.device("cpu"))
    train_finder(paths, recipe=recipe, fabric=fabric, say=said.append, config=TINY)
    longer = Recipe(**{**vars(recipe), "samples": 960})
    train_finder(paths, recipe=longer, fabric=fabric, say=said.append, config=TINY)
    assert any("resumes at 320 samples" in line for line in said)
    rows = [json.loads(line) for line in (state / "log.jsonl").read_text().splitlines()]
    assert [row["seen"]["samples"] for row in rows] == [160, 320, 480, 640, 800, 960]
    network, header = load_finder(out)
    assert network.config == TINY
    assert header["samples"] == 960
    after = judge_finder(network, held_out_frames(cache), torch.device("cpu"))
    assert after["found"] > before["found"] + 0.5
    assert after["deserted"] < 0.3
    with pytest.raises(WeightsError, match="kind 'finder'"):
        load_spatial(out)
    with pytest.raises(TrainingError, match="another run"):
        FinderRun(FinderConfig(), longer, fabric, paths)


def test_errors_are_lines(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrainingError, match="no rendered pictures"):
        next(feed_frames(tmp_path, batch=2, seed=0, recipe=Recipe(), device=torch.device("cpu")))
    with pytest.raises(FormatError, match="no held-out frames"):
        held_out_frames(tmp_path)
    for arguments, message in (
        (["render", "--frames", "--count", "2"], "give --assets and --mocap"),
        (["evaluate", "finder", "--weights", str(tmp_path / "none")], "no weights"),
        (["train", "finder", "-o", str(tmp_path / "none" / "f.safetensors")], "no folder"),
    ):
        assert stpose([*arguments, "--cache", str(cache), "--device", "cpu"]) == 2
        assert message in capsys.readouterr().err


def test_batches_are_of_frames_wide_and_tall(cache: Path) -> None:
    samples = feed_frames(cache, batch=4, seed=0, recipe=Recipe(), device=torch.device("cpu"))
    shapes = [tuple(next(samples).pictures.shape) for _ in range(4)]
    assert shapes == [(4, 3, 192, 320), (4, 3, 320, 192)] * 2
    views = [drawn_frame(read_shard(cache / "frames-train-00000.npz"), np.random.default_rng(0), WIDE) for _ in range(2)]
    assert not torch.equal(*(collate_frames([view], torch.device("cpu"), seed).pictures for view, seed in zip(views, (1, 2))))
