"""Clips of which only 2D is known: reading them, drawing windows of them, and what is learned from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_footage import TINY, footage, tiny_lifter, write_keypoints
from small_mocap import moving, write_folder
from stpose_training import lifter as module
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.footage import FootageBank, Seen, Window, draw_seen, load_footage
from stpose_training.data.samples import thin
from stpose_training.lifter import train
from stpose_training.losses import bone_length_spread
from stpose_training.recipe import Plan, Recipe
from stpose_training.unlabelled import reprojection_loss

from stpose_core import save
from stpose_core.animate import animate
from stpose_core.data import Camera, Capture, Keypoints
from stpose_core.errors import FormatError, TrainingError
from stpose_core.lift.lifter import _upsample, strands
from stpose_core.lift.normalise import BOX_REACH, network_inputs, person_view
from stpose_core.lift.torch_network import torch_lifter
from stpose_core.skeletons import COCO17
from stpose_core.video import VideoInfo

SHORT = Recipe(steps=8, batch=4, frames=32, reach=16, warmup=2, judged=1, evaluate_every=8, checkpoint_every=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


@pytest.fixture
def films(tmp_path: Path) -> Path:
    place = tmp_path / "footage"
    place.mkdir()
    for seed in range(2):
        write_keypoints(place / f"{seed}.npz", footage(seed, 80))
    return place


def test_captures_and_keypoints_alone_are_read_from_files_and_folders(films: Path, tmp_path: Path) -> None:
    clip = footage(2)
    pose = tiny_lifter()(clip)
    info = VideoInfo(Path("a.mp4"), *clip.image_size, 30.0, 2.0, 60)
    save(Capture(info, "test", clip, pose, animate(pose)), tmp_path / "capture.npz")
    found = load_footage([films, tmp_path / "capture.npz"])
    assert [len(k) for k in found] == [80, 80, 60]
    assert np.array_equal(found[2].xy, clip.xy, equal_nan=True)
    assert np.array_equal(found[2].score, clip.score)


def test_other_skeletons_are_converted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    coco = Keypoints(random.uniform(100, 300, (40, 17, 2)), np.ones((40, 17)), 30.0, (640, 480), COCO17.name)
    assert [clip.skeleton for clip in load_footage([write_keypoints(tmp_path / "a.npz", coco)])] == ["h36m17"]


def test_what_is_no_footage_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "text.npz").write_text("no zip")
    hardly = footage(0, 30)
    hidden = np.where(np.arange(30)[:, None] < 12, hardly.score, 0.0)
    write_keypoints(tmp_path / "short.npz", replace(hardly, score=hidden, xy=np.where(hidden[..., None] > 0, hardly.xy, np.nan)))
    write_keypoints(tmp_path / "flat.npz", replace(footage(0, 30), image_size=(0, 0)))
    write_keypoints(tmp_path / "slow.npz", replace(footage(0, 30), fps=1e-9))
    for path, message in (
        (empty, "holds no .npz"),
        (tmp_path / "flat.npz", "flat.npz: a picture of 0 x 0 pixels"),
        (tmp_path / "slow.npz", "slow.npz: 1e-09 is not a frame rate of a video"),
        (tmp_path / "text.npz", "cannot be read as .npz"),
        (tmp_path / "none.npz", "there is no file"),
        (tmp_path / "short.npz", r"short.npz: a person is detected in \d+ frames; 20 are needed"),
    ):
        with pytest.raises(FormatError, match=message):
            load_footage([path])
    with pytest.raises(FormatError, match="no footage"):
        load_footage([])


@pytest.mark.parametrize(("fps", "lengths"), [(30.0, [60]), (60.0, [30, 30]), (12.0, [119])])
def test_clips_come_to_the_training_rate_as_in_lifting(fps: float, lengths: list[int]) -> None:
    clip = footage(0, 60, fps)
    bank = FootageBank([clip])
    assert bank.lengths.tolist() == lengths
    shown = strands(clip, Camera.assumed(clip.image_size))
    assert np.allclose(bank.rays.numpy(), np.nan_to_num(np.concatenate([strand.rays for strand in shown])), atol=1e-6)


def test_beyond_the_ends_of_a_clip_nothing_is_seen() -> None:
    rays, score = FootageBank([footage(0, 40)]).windows(50, 101, Random(0))
    assert ((score > 0).any(-1).sum(1) <= 40).all()
    # A clip is held apart from the next: a window never runs on into another.
    rays, score = FootageBank([footage(0, 40), footage(1, 40)]).windows(50, 101, Random(0))
    assert ((score > 0).any(-1).sum(1) <= 40).all()
    assert (rays[score == 0].abs().sum(-1) == 0).float().mean() > 0.9


def test_a_seed_gives_the_same_samples_and_hidden_joints_stay_to_be_judged() -> None:
    bank = FootageBank([footage(0, 80), footage(1, 80)])
    first, again, other = (
        draw_seen(bank, batch=16, window=Window(frames=32, reach=16), random=Random(seed), severity=1.0, share=1.0)
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(value, getattr(again, name)) for name, value in vars(first).items())
    assert not torch.equal(first.joints, other.joints)
    shown = first.joints[:, 16:-16, :, 3] > 0
    assert ((first.score > 0) & ~shown).float().mean() > 0.02
    # The control: with nothing hidden the network is shown all that is judged, at the very place.
    plain = draw_seen(bank, batch=16, window=Window(frames=32, reach=16), random=Random(3), severity=1.0, share=0.0)
    assert torch.equal(plain.joints[:, 16:-16, :, :2], plain.flat)


def true_sample(zoomed: bool = False) -> tuple[torch.Tensor, torch.Tensor, Seen]:
    """Pose and root as the heads would give them if they were right, and what is seen without noise."""
    random = Random(5)
    frames = 24 + 2 * BOX_REACH
    views = film(torch.from_numpy(np.stack([moving(frames, seed) for seed in range(4)])), random)
    points = views.points
    rays, score = points[..., :2] / points[..., 2:], torch.ones(points.shape[:3])
    view = person_view(rays, score)
    joints, context = network_inputs(rays, score, view)
    pose = (points - points[:, :, :1]) @ view.rotation.transpose(-1, -2)
    core = slice(BOX_REACH, -BOX_REACH)
    seen = Seen(joints[:, core], context[:, core], joints[:, core, :, :2], score[:, core], view.size[:, core])
    return pose[:, core], view.camera_to_root(points[:, :, 0])[:, core], seen


def test_the_truth_has_no_reprojection_error_and_what_leaves_its_rays_has() -> None:
    pose, root, seen = true_sample()
    assert reprojection_loss(pose, root, seen) < 1e-4
    errors = [float(reprojection_loss(pose * factor, root, seen)) for factor in (1.05, 1.1, 1.2, 1.4)]
    assert errors == sorted(errors)
    assert errors[0] > 1e-3
    # Nearer and smaller at once looks the same: this loss alone cannot tell size.
    half = torch.tensor([0.0, 0.0, np.log(0.5)], dtype=torch.float32)
    assert reprojection_loss(0.5 * pose, root + half, seen) < 1e-4
    # And what nobody saw has no say.
    wrong = pose.clone()
    wrong[:, :, 13] += 0.5
    assert reprojection_loss(wrong, root, seen) > 1e-2
    blind = replace(seen, score=seen.score.clone())
    blind.score[:, :, 13] = 0
    assert reprojection_loss(wrong, root, blind) < 1e-4


def test_its_gradient_leads_back_across_the_ray() -> None:
    pose, root, seen = true_sample()
    moved = pose.clone()
    moved[:, :, 13, 0] += 0.2
    moved.requires_grad_()
    reprojection_loss(moved, root, seen).backward()
    assert moved.grad is not None
    assert (moved.grad[:, :, 13, 0] > 0).all()
    assert (moved.grad[:, :, 13, 0] > 3 * moved.grad[:, :, 13, 2].abs()).float().mean() > 0.9
    others = [joint for joint in range(17) if joint != 13]
    assert moved.grad[:, :, others].abs().max() < 0.1 * moved.grad[:, :, 13].abs().max()


def test_the_spread_of_bone_lengths_counts_the_frames_that_are_to_be_counted() -> None:
    pose = torch.from_numpy(np.stack([moving(40, 0)]))
    counted = torch.ones(1, 40, dtype=torch.bool)
    assert bone_length_spread(pose, counted) < 1e-4
    pose[:, 30:] *= 1.5
    assert bone_length_spread(pose, counted) == pytest.approx(float(bone_length_spread(pose)), rel=1e-4)
    counted[:, 30:] = False
    assert bone_length_spread(pose, counted) < 1e-4


def test_frames_between_those_seen_are_filled_in_as_in_lifting() -> None:
    clip = footage(3, 31)
    rays, score = torch.rand(1, 31, 17, 2), torch.tensor(clip.score)[None].float()
    got_rays, got_score = thin(rays, score, 3)
    want_rays, want_score = _upsample(rays[0, ::3].double().numpy(), score[0, ::3].double().numpy(), 3)
    assert np.allclose(got_rays[0].numpy(), want_rays, atol=1e-5)
    assert np.allclose(got_score[0].numpy(), want_score, atol=1e-6)
    assert thin(rays, score, 1)[0] is rays


def same(a: Path, b: Path) -> bool:
    first, second = (torch_lifter(path).network.module.state_dict() for path in (a, b))
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("critic", [0.0, 0.05])
def test_a_run_with_footage_goes_on_to_the_same_result(
    folder: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, critic: float
) -> None:
    plan = Plan(replace(SHORT, critic=critic, critic_from=0.2, critic_ramp=0.3), dimensions=TINY)
    whole, half, none = (tmp_path / f"{name}.safetensors" for name in ("whole", "half", "none"))
    train(folder, output=whole, plan=plan, state=tmp_path / "whole", footage=[films])

    class Killed(BaseException):
        pass

    real = module.save_checkpoint

    def dying(path: Path, state: dict[str, Any]) -> None:
        real(path, state)
        if state["step"] == 4:
            raise Killed

    monkeypatch.setattr(module, "save_checkpoint", dying)
    with pytest.raises(Killed):
        train(folder, output=half, plan=plan, state=tmp_path / "half", footage=[films])
    monkeypatch.setattr(module, "save_checkpoint", real)
    with pytest.raises(TrainingError, match="another run"):
        train(folder, output=half, plan=plan, state=tmp_path / "half")
    train(folder, output=half, plan=plan, state=tmp_path / "half", footage=[films])
    assert same(whole, half)
    train(folder, output=none, plan=plan, state=tmp_path / "none")
    assert not same(whole, none)
    assert "reprojection" in (tmp_path / "whole" / "log.jsonl").read_text()


def test_a_network_that_reads_heat_maps_takes_no_footage(folder: Path, films: Path, tmp_path: Path) -> None:
    plan = Plan(SHORT, dimensions={**TINY, "inputs": "heatmaps"})
    with pytest.raises(TrainingError, match="footage holds keypoints; this network reads heat maps"):
        train(folder, output=tmp_path / "a.safetensors", plan=plan, state=tmp_path / "state", footage=[films])
    with pytest.raises(TrainingError, match="footage must be from 0 to below 1"):
        Recipe(footage=1.0)
