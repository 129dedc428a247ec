"""One skeleton for all mocap: trunks get one definition and human proportions; limbs and movements stay."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_mocap import kept_banks, moving, write_folder
from stpose_cli.main import run
from stpose_training import lifter as module
from stpose_training.data.anatomy import ANATOMICAL, correction, with_one_skeleton
from stpose_training.data.bodies import PROPORTIONS, Random, put_together, reshape, take_apart
from stpose_training.data.mocap import Clip, MotionBank, by_person, load_mocap
from stpose_training.recipe import Plan, Recipe

LIMBS = (2, 3, 5, 6, 12, 13, 15, 16)
TRUNK = (1, 4, 7, 8, 9, 10, 11, 14)
FRAMES = 200


def mean_share(joint: int) -> float:
    """Mean length of a bone between people, as a share of the leg."""
    return ANATOMICAL[{4: 1, 14: 11}.get(joint, joint)][0]


def with_bones(positions: np.ndarray, factors: dict[int, float]) -> np.ndarray:
    """The same movement with longer or shorter bones."""
    posture = take_apart(torch.from_numpy(positions)[None])
    for joint, factor in factors.items():
        posture.lengths[:, joint] *= factor
    return put_together(posture)[0].numpy()


def shares(positions: np.ndarray) -> np.ndarray:
    """(17,) lengths of bones as shares of the leg."""
    lengths = take_apart(torch.from_numpy(positions)[None]).lengths[0].numpy()
    return lengths / (lengths[[2, 3, 5, 6]].sum() / 2)


def shoulders(positions: np.ndarray) -> np.ndarray:
    """(2, 3) mean directions of the left and the right shoulder in the chest's axes."""
    mean = take_apart(torch.from_numpy(positions)[None]).bones[0, :, [11, 14]].mean(0).numpy()
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def test_trunks_that_no_person_has_come_into_the_range_of_people() -> None:
    recorded = with_bones(moving(FRAMES, 3), {11: 1.8, 14: 1.8, 1: 0.4, 4: 0.4})
    found = correction([recorded])(recorded)
    for joint in TRUNK:
        spread = ANATOMICAL[{4: 1, 14: 11}.get(joint, joint)][1]
        assert abs(math.log(shares(found)[joint] / mean_share(joint))) < 2.02 * spread
    assert shares(recorded)[11] > 1.2 * shares(found)[11], "control: the shoulders were out of range"
    assert shares(recorded)[1] < 0.8 * shares(found)[1]


def test_both_sides_all_frames_and_all_clips_of_a_person_count() -> None:
    normal = moving(FRAMES, 4)
    normal = with_bones(normal, {joint: mean_share(joint) / shares(normal)[joint] for joint in TRUNK})
    lame = correction([with_bones(normal, {11: 1.6, 5: 1.1, 6: 1.1})])
    assert float(lame.factors[11]) == float(lame.factors[14]) < 0.95
    leg = (shares(normal)[[2, 3]].sum() + 1.1 * shares(normal)[[5, 6]].sum()) / 2
    assert float(lame.factors[14]) == pytest.approx(math.exp(2 * 0.07) * mean_share(11) * leg / (1.3 * mean_share(11)), rel=0.01)
    long, brief = normal[:180], with_bones(normal[:20], {11: 1.6, 14: 1.6})
    assert float(correction([long, brief]).factors[11]) == pytest.approx(1.0, abs=0.005)
    assert set(correction([normal[:80], normal[80:160]]).turns) == {11, 14}
    assert set(correction([normal[:80]]).turns) == set()


def test_sizes_within_the_range_of_people_and_all_limbs_stay() -> None:
    normal = moving(FRAMES, 4)
    normal = with_bones(normal, {joint: mean_share(joint) / shares(normal)[joint] for joint in TRUNK})
    wide = with_bones(normal, {11: 1.1, 14: 1.1})
    found = correction([wide])(wide)
    np.testing.assert_allclose(shares(found), shares(wide), rtol=2e-3)
    limbs = list(LIMBS)
    before, after = (take_apart(torch.from_numpy(clip)[None]) for clip in (wide, found))
    np.testing.assert_allclose(after.bones[0, :, limbs], before.bones[0, :, limbs], atol=1e-3)


def test_shoulders_get_one_mean_direction_and_keep_their_movement() -> None:
    first, second = moving(FRAMES, 5), moving(FRAMES, 6)
    second[:, 11:] += np.array([0, 0, -0.06], np.float32)  # another laboratory's shoulders, with their arms
    assert np.degrees(np.arccos((shoulders(first) * shoulders(second)).sum(-1))).min() > 8, "control"
    found = [correction([clip])(clip) for clip in (first, second)]
    goal = np.array([0.95, -0.08, -0.29]) / np.linalg.norm([0.95, -0.08, -0.29])
    for clip in found:  # the chest's axes follow the shoulders, which move
        assert np.degrees(np.arccos(shoulders(clip)[0] @ goal)) < 3
    for joint in (12, 13, 15, 16):  # arms move as recorded
        before, after = (clip[:, joint] - clip[:, joint - 1] for clip in (second, found[1]))
        np.testing.assert_allclose(after, before, atol=1e-4)


def test_few_frames_do_not_tell_the_direction_of_shoulders() -> None:
    gesture = moving(40, 7)
    np.testing.assert_allclose(shoulders(correction([gesture])(gesture)), shoulders(gesture), atol=1e-4)


def test_each_person_on_each_skeleton_is_corrected_alone() -> None:
    first, second = moving(FRAMES, 8), with_bones(moving(FRAMES, 9), {11: 1.6, 14: 1.6})
    longer = with_bones(second, {3: 1.3, 6: 1.3})
    clips = [
        Clip("a", "one", "x", first),
        Clip("b", "two", "x", second),
        Clip("c", "two", "x", longer),
        Clip("d", "one", "x", first),
    ]
    assert by_person(clips) == [[0, 3], [1], [2]]
    found = with_one_skeleton(clips)
    np.testing.assert_allclose(found[1].positions, correction([second])(second), atol=1e-6)
    np.testing.assert_allclose(found[3].positions, correction([first, first])(first), atol=1e-6)
    assert [clip.name for clip in found] == ["a", "b", "c", "d"]


def test_bodies_in_training_vary_as_those_of_people() -> None:
    def spread(proportions: dict[int, tuple[float, float]]) -> float:
        posture = take_apart(torch.from_numpy(moving(4, 1))[None].repeat(2000, 1, 1, 1))
        lengths = reshape(posture, Random(0), proportions).lengths
        return float(torch.log(lengths[:, 11] / (lengths[:, 2] + lengths[:, 3])).std())

    assert spread(ANATOMICAL) < 0.1 < 0.15 < spread(PROPORTIONS)


@pytest.mark.parametrize("alike", [False, True])
def test_a_run_learns_from_the_corrected_skeletons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: bool) -> None:
    folder = write_folder(tmp_path)
    banks = kept_banks(monkeypatch, module)
    recipe = replace(Recipe(batch=2, frames=16, reach=16, judged=1), steps=1, one_skeleton=alike)
    module.train(
        folder, output=tmp_path / "a.safetensors", plan=Plan(recipe, dimensions={"latent": 16, "width": 8}), state=tmp_path / "s"
    )
    recorded = MotionBank(load_mocap(folder), "cpu").frames
    assert bool((banks[0].frames - recorded).abs().max() > 0.02) == alike
    assert (banks[0].proportions is ANATOMICAL) == alike


@pytest.mark.parametrize("words", [[], ["--one-skeleton"]])
def test_the_commands_pass_the_option_on(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(module, "train", lambda *_, plan, **__: asked.append(plan.recipe.one_skeleton))
    monkeypatch.setattr("stpose_training.evaluate.evaluate", lambda *_, one_skeleton, **__: asked.append(one_skeleton) or "")
    assert run(["train", "lifter", "--data", str(tmp_path), "-o", str(tmp_path / "a.safetensors"), "--device", "cpu", *words]) == 0
    assert run(["evaluate", "lifter", "--data", str(tmp_path), "--device", "cpu", *words]) == 0
    assert asked == [bool(words)] * 2
