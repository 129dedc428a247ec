"""Rendered people before other places and among other people: what is seen of them, and what counts as hidden."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from stpose_training.spatial.backdrops import Backdrops, perspective
from stpose_training.spatial.feed import Stock, drawn_view
from stpose_training.spatial.recompose import Scene, recompose
from stpose_training.synth.cache import CROP, Shard
from stpose_training.synth.pictures import HIDDEN, OUTSIDE, VISIBLE

from stpose_core.detect.views import seen_at, view_of
from stpose_core.errors import FormatError

SIZE = (96, 128)
RED, GREEN, GREY, BLUE = (220, 20, 20), (20, 220, 20), (90, 90, 90), (20, 20, 220)


def shard_of(colour: tuple[int, int, int], box: tuple[int, int, int, int] = (80, 40, 150, 250), masked: bool = True) -> Shard:
    """A picture of a plain grey place with one person: a rectangle of one colour, with a grid of joints on it."""
    picture = np.full((CROP[1], CROP[0], 3), GREY, np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = colour
    mask = np.zeros((1, CROP[1] // 2, CROP[0] // 2), np.uint8)
    if masked:
        mask[0, box[1] // 2 : box[3] // 2, box[0] // 2 : box[2] // 2] = 1
    joints = np.zeros((1, 3, 17, 2), np.float32)
    joints[0, 0] = np.linspace((box[0] + 8, box[1] + 8), (box[2] - 8, box[3] - 8), 17)
    state, boxes = np.zeros((1, 3, 17), np.uint8), np.zeros((1, 3, 4), np.float32)
    state[0, 0], boxes[0, 0] = VISIBLE, box
    page = cv2.imencode(".png", picture[..., ::-1])[1].reshape(-1)
    one = np.ones(1, np.float32)
    return Shard([page], joints, state, boxes, np.zeros((1, 3, 17, 3), np.float32), mask, one, one)


def write_kit(path: Path, colour: tuple[int, int, int] = BLUE, count: int = 9) -> Path:
    """The part of a kit that places are cut from; those that are kept for validation are white."""
    arrays = {}
    for name, (width, height) in (("pano", (128, 64)), ("photo", (96, 72))):
        pages = []
        for number in range(count):
            picture = np.full((height, width, 3), (255, 255, 255) if number % 7 == 3 else colour, np.uint8)
            pages.append(cv2.imencode(".png", picture[..., ::-1])[1].reshape(-1))
        arrays |= {f"{name}_bytes": np.concatenate(pages), f"{name}_lengths": np.array([len(page) for page in pages])}
    np.savez(path, **arrays)
    return path


def scene_of(shard: Shard) -> Scene:
    from stpose_training.synth.cache import decode

    from stpose_core.detect.views import cut

    matrix = view_of(shard.box[0, 0].astype(np.float64), SIZE)
    joints = seen_at(matrix, shard.joints[0, 0].astype(np.float64))
    return Scene(cut(decode(shard.jpeg[0]), matrix, SIZE), joints, shard.state[0, 0].copy(), shard, 0, matrix)


def like(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Which pixels have the strongest channel of a colour, by far."""
    channel = int(np.argmax(colour))
    others = np.delete(picture.astype(int), channel, axis=-1).max(-1)
    return picture[..., channel].astype(int) > others + 60


def test_another_place_comes_behind_and_the_person_stays(tmp_path: Path) -> None:
    backdrops = Backdrops(write_kit(tmp_path / "kit.npz"), np.random.default_rng(0))
    scene = scene_of(shard_of(RED))
    person = like(scene.picture, RED)
    for seed in range(12):
        picture, state = recompose(scene, backdrops, (), np.random.default_rng(seed))
        assert like(picture, RED)[person].mean() > 0.9
        assert like(picture, BLUE)[~person].mean() > 0.9
        assert (state == VISIBLE).all()
    # A person of whom the mask shows nothing could not be told from the place.
    hidden = scene_of(shard_of(RED, masked=False))
    assert recompose(hidden, backdrops, (), np.random.default_rng(0))[0] is hidden.picture


def test_joints_behind_a_person_are_hidden_and_no_others() -> None:
    scene, other = scene_of(shard_of(RED)), shard_of(GREEN)
    before, behind, green, red = 0, 0, [], []
    for seed in range(60):
        picture, state = recompose(scene, None, (other,), np.random.default_rng(seed))
        x, y = scene.joints.astype(int).T
        green.append(like(picture, GREEN)[y, x][state == HIDDEN])
        red.append(like(picture, RED)[y, x][state == VISIBLE])
        assert (state == VISIBLE).mean() > 0.35  # nobody is hidden altogether
        before += bool((state == HIDDEN).any())
        behind += bool(like(picture, GREEN).mean() > 0.02 and (state == VISIBLE).all())
    assert before > 8
    assert behind > 8
    assert np.concatenate(green).mean() > 0.85
    assert np.concatenate(red).mean() > 0.95


def test_who_is_cut_off_by_the_picture_stays_so(tmp_path: Path) -> None:
    backdrops = Backdrops(write_kit(tmp_path / "kit.npz"), np.random.default_rng(0))
    whole, cut_off = (scene_of(shard_of(RED, box)) for box in ((80, 40, 150, 250), (80, 40, 150, 288)))
    reach = [int(seen_at(scene.matrix, np.array([[0.0, 288.0]]))[0, 1]) + 3 for scene in (whole, cut_off)]
    below = recompose(cut_off, backdrops, (), np.random.default_rng(0))[0][reach[1] :]
    assert np.abs(below.astype(int) - 127).mean() < 12  # as outside of any picture
    # Nobody who is cut off is put into other pictures.
    for seed in range(20):
        picture, _ = recompose(whole, None, (shard_of(GREEN, (0, 40, 80, 288)),), np.random.default_rng(seed))
        assert like(picture, GREEN).mean() < 0.01


def test_places_for_validation_are_not_trained_on(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    backdrops = Backdrops(write_kit(tmp_path / "kit.npz"), random)
    for _ in range(3):
        backdrops.renew()
    for seed in range(40):
        assert like(backdrops.draw(SIZE, np.random.default_rng(seed)), BLUE).all()
    np.savez(tmp_path / "other.npz", nothing=np.zeros(1))
    with pytest.raises(FormatError, match="not a kit"):
        Backdrops(tmp_path / "other.npz", random)


def test_a_panorama_is_seen_without_a_seam() -> None:
    """A panorama that brightens smoothly all around, black to white and back, has no step anywhere."""
    around = np.abs(np.linspace(-1, 1, 512, endpoint=False))
    panorama = np.repeat((np.broadcast_to(around, (256, 512)) * 255).astype(np.uint8)[..., None], 3, axis=2)
    for seed in range(20):
        view = perspective(panorama, np.random.default_rng(seed)).astype(int)
        assert np.abs(np.diff(view, axis=1)).max() < 12


def test_without_others_there_is_nobody_beside_the_subject() -> None:
    crowded, alone = shard_of(RED), shard_of(RED)
    crowded.state[0, 1] = VISIBLE
    both = Shard(
        crowded.jpeg + alone.jpeg,
        *(np.concatenate([getattr(shard, name) for shard in (crowded, alone)]) for name in ("joints", "state", "box", "xyz")),
        *(np.concatenate([getattr(shard, name) for shard in (crowded, alone)]) for name in ("mask", "pixels", "tilt")),
    )
    both.state[0, 0] = OUTSIDE  # the crowded picture is known by that
    for others in (True, False):
        stock = Stock((both,), None, 0.0, others)
        views = [drawn_view(stock, np.random.default_rng(seed), SIZE) for seed in range(30)]
        gone = sum(bool((view.state == OUTSIDE).all()) for view in views)
        assert (gone > 5) == others
        assert others or gone == 0


def test_places_without_anybody_are_drawn_as_often_as_asked(tmp_path: Path) -> None:
    backdrops = Backdrops(write_kit(tmp_path / "kit.npz"), np.random.default_rng(0))
    views = {}
    for share in (0.0, 0.25):
        stock = Stock((shard_of(RED),), backdrops, deserted=share)
        views[share] = [drawn_view(stock, np.random.default_rng(seed), SIZE) for seed in range(200)]
    nobody = [(view.state == OUTSIDE).all() for view in views[0.25]]
    assert 0.15 < np.mean(nobody) < 0.35
    assert not any((view.state == OUTSIDE).all() for view in views[0.0])
    for view, alone in zip(views[0.25], nobody):
        red = (np.abs(view.picture.astype(int) - RED).sum(-1) < 90).mean()
        assert not alone or red < 0.02
