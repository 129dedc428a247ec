"""What the spatial network is fed, and what it learns from; with the made-up pictures of test_train_spatial."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stpose_training.spatial.feed import Source, Stock, collate, drawn_view, feed, plain_view
from stpose_training.spatial.losses import gaussians, spatial_loss
from stpose_training.spatial.recipe import Recipe
from stpose_training.synth.cache import Shard, read_shard, shards
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, VISIBLE
from stpose_training.vision.pixels import recoloured
from test_train_spatial import COLOURS, SIZE, short, write_cache, write_dots

from stpose_core.errors import TrainingError
from stpose_core.networks.spatial import SpatialOutput
from stpose_core.skeletons import H36M17


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return write_cache(tmp_path / "cache")


def test_labels_follow_the_picture_however_it_is_seen(cache: Path) -> None:
    shard = read_shard(cache / "train-00000.npz")
    right = wrong = there = 0
    for seed in range(60):
        view = drawn_view(Stock((shard,)), np.random.default_rng(seed), (192, 256))
        assert view.picture.shape == (256, 192, 3)
        for joint in np.flatnonzero(view.state == VISIBLE):
            x, y = view.joints[joint].astype(int)
            # The picture was written in the order of OpenCV; a mirrored person's left is its right.
            colours = [COLOURS[other][::-1] for other in (joint, H36M17.mirror[joint])]
            near = view.picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].reshape(-1, 3).astype(int)
            there += 1
            right += bool(np.abs(near - colours[0]).sum(1).min() < 60)
            wrong += joint != H36M17.mirror[joint] and bool(np.abs(near - colours[1]).sum(1).min() < 60)
    assert there > 400
    # A mirrored picture shows the dot of the other side where the exchanged label says this side is.
    assert (right + wrong) / there > 0.85
    assert 0.3 < right / (right + wrong) < 0.85


def test_who_lies_is_mostly_seen_upright_as_the_detector_turns_views(cache: Path) -> None:
    shard = read_shard(cache / "train-00000.npz")
    neck, pelvis = H36M17.index("neck", "pelvis")
    before = shard.joints[:, 0, neck] - shard.joints[:, 0, pelvis]
    # The made-up people stand: the whole shard is laid on its side, so that each lies before it is seen.
    side = shard.joints[..., 0].max() + 20
    joints = np.stack([side - shard.joints[..., 1], shard.joints[..., 0]], -1)
    left, top, right, bottom = np.moveaxis(shard.box, -1, 0)
    box = np.stack([side - bottom, left, side - top, right], -1)
    lying = replace(shard, joints=joints, box=box)
    assert (np.abs(np.arctan2(before[:, 0], -before[:, 1])) < 0.6).all()

    def upright(shown: Shard) -> tuple[float, float]:
        """The share of views in which the trunk stands, and how long it is in those, on average."""
        ups = []
        for seed in range(300):
            view = drawn_view(Stock((shown,)), np.random.default_rng(seed), SIZE)
            ups.append(view.joints[neck] - view.joints[pelvis])
        across, down = np.array(ups).T
        stands = np.abs(np.arctan2(across, -down)) < 1.0
        return float(stands.mean()), float(np.hypot(across, down)[stands].mean())

    (standing, length), (turned, turned_length) = upright(shard), upright(lying)
    assert standing > 0.9
    assert 0.6 < turned < 0.9, "three in four are turned, the others lie as they do"
    assert turned_length == pytest.approx(length, rel=0.06), "the box is turned as well: they are seen as large"


def test_what_is_covered_or_out_of_sight_counts_so(cache: Path) -> None:
    shard = read_shard(cache / "train-00000.npz")
    states = []
    for seed in range(80):
        view = drawn_view(Stock((shard,)), np.random.default_rng(seed), (192, 256))
        outside = ((view.joints < 0) | (view.joints >= (192, 256))).any(-1)
        assert (view.state[outside] == OUTSIDE).all()
        states.append(view.state)
    # All joints but those that are hidden or outside from the start, or get there in a mirror.
    others = np.delete(np.stack(states), [3, 16, H36M17.mirror[3], H36M17.mirror[16]], axis=1)
    assert (others == HIDDEN).mean() > 0.01
    assert (others == OUTSIDE).mean() > 0.02


def test_a_plain_view_is_the_same_each_time_and_shows_the_box(cache: Path) -> None:
    shard = read_shard(cache / "train-00000.npz")
    one, other = plain_view(shard, 2, SIZE), plain_view(shard, 2, SIZE)
    np.testing.assert_array_equal(one.picture, other.picture)
    inside = one.joints[one.state != OUTSIDE]
    assert (inside > 0).all()
    assert (inside < SIZE).all()
    assert shard.state[2, 0, 0] == VISIBLE  # reading a view does not change the shard


def test_the_feed_draws_from_a_folder_that_grows(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("stpose_training.vision.pool.read_shard", lambda path: (read.append(path.stem), read_shard(path))[1])
    samples = feed(Source(cache, SIZE), batch=8, seed=0, device=torch.device("cpu"), recipe=Recipe())
    batch = next(samples)
    assert batch.pictures.shape == (8, 3, 96, 64)
    assert -0.5 <= batch.pictures.min() <= batch.pictures.max() <= 0.5
    assert set(read) == {"train-00000", "train-00001"}
    write_dots(cache, "train", 7)
    for _ in range(12):
        next(samples)
    assert "train-00007" in read
    with pytest.raises(TrainingError, match="no rendered pictures"):
        next(feed(Source(cache / "..", SIZE), batch=8, seed=0, device=torch.device("cpu"), recipe=Recipe()))


def test_samples_are_drawn_in_processes() -> None:
    """In a process of its own: where other tests had loaded OpenVINO before, starting more of them crashed now and then."""
    alone = Path(__file__).with_name("alone_spatial_workers.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(alone)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_colours_change_and_places_do_not() -> None:
    pictures = torch.zeros(64, 3, 8, 8) - 0.4
    pictures[:, :, 3, 5] = 0.4
    other = recoloured(pictures, 1)
    assert (other.mean((2, 3)).std(0) > 0.02).all()
    assert (other.mean(1).flatten(1).argmax(1) == 3 * 8 + 5).float().mean() > 0.95
    assert torch.equal(other, recoloured(pictures, 1))
    assert not torch.equal(other, recoloured(pictures, 2))


def test_targets_are_centred_between_pixels_and_hold_all_their_mass() -> None:
    joints = torch.tensor([[[21.3, 50.9], [0.5, 95.0]]])
    target = gaussians(joints, 24, 16, 1.5)
    torch.testing.assert_close(target.sum((2, 3)), torch.ones(1, 2))
    rows, columns = torch.arange(24.0) + 0.5, torch.arange(16.0) + 0.5
    middle = torch.stack([(target[0, 0].sum(0) * columns).sum(), (target[0, 0].sum(1) * rows).sum()]) * 4
    torch.testing.assert_close(middle, joints[0, 0], rtol=0, atol=0.05)


def test_the_loss_is_least_at_the_truth_and_leaves_out_what_is_outside(cache: Path) -> None:
    shard = read_shard(cache / "train-00000.npz")
    batch = collate([plain_view(shard, row, SIZE) for row in range(4)], torch.device("cpu"))
    truth = gaussians(batch.joints, 24, 16, 1.5).clamp(min=1e-9).log()
    truth[batch.state == OUTSIDE] = 0.7  # says nothing
    unseen = torch.where(batch.state == VISIBLE, -20.0, 20.0)
    loss, parts = spatial_loss(SpatialOutput(truth, unseen), batch, Recipe())
    assert loss == pytest.approx(0, abs=1e-3)
    moved = truth.roll(2, -1)
    assert spatial_loss(SpatialOutput(moved, unseen), batch, Recipe())[1]["maps"] > 0.3
    assert spatial_loss(SpatialOutput(truth, -unseen), batch, Recipe())[1]["hidden"] > 5
    # Joint 16 is outside: where its map would have it does not matter, but it must not have it anywhere.
    somewhere = truth.clone()
    somewhere[:, 16, 3, 3] += 20
    more, said = spatial_loss(SpatialOutput(somewhere, unseen), batch, Recipe())
    assert float(more - loss) == pytest.approx(Recipe().blank * said["blank"], abs=1e-4)
    assert said["maps"] == pytest.approx(parts["maps"])
    assert parts["blank"] == pytest.approx(0, abs=1e-5)
    assert said["blank"] > 2


def test_samples_become_harder_and_plain_ones_are_whole(cache: Path) -> None:
    recipe = short(samples=1000, hardening=0.5)
    assert [recipe.hardness(seen) for seen in (0, 250, 500, 1000)] == [0, 0.5, 1, 1]
    assert recipe.continued().hardness(0) == 1, "a network that was taught before is not spared"
    shard = read_shard(shards(cache, "train")[0])

    def unseen(hardness: float) -> int:
        """Joints that are not visible beside the two that never are."""
        stock, seeds = Stock((shard,), hardness=hardness), range(60)
        return sum(int((drawn_view(stock, np.random.default_rng(seed), SIZE).state != VISIBLE).sum()) - 2 for seed in seeds)

    assert unseen(0.0) < 0.5 * unseen(1.0)
