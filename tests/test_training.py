"""Training samples, losses and schedules of the lifter, on a small mocap folder that the test makes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small_mocap import REST, moving, write_folder
from stpose_training.data import bodies, occlusion
from stpose_training.data.bodies import Random
from stpose_training.data.cameras import film
from stpose_training.data.flexion import _legs, flex, grounded
from stpose_training.data.footage import Window
from stpose_training.data.mocap import Clip, MotionBank, load_mocap
from stpose_training.data.samples import Faults, draw_batch, new_motions
from stpose_training.losses import (
    acceleration_error,
    bone_length_spread,
    bone_vector_error,
    contact_error,
    flexion,
    hinge_error,
    lifting_loss,
)
from stpose_training.recipe import Recipe, learning_rate, severity

from stpose_core.errors import FormatError
from stpose_core.networks.outputs import TemporalOutput
from stpose_core.skeletons import H36M17


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("mocap"))


@pytest.fixture(scope="module")
def bank(folder: Path) -> MotionBank:
    return MotionBank(load_mocap(folder))


def lengths(positions: torch.Tensor) -> torch.Tensor:
    return (positions[..., 1:, :] - positions[..., list(H36M17.parents[1:]), :]).norm(dim=-1)


def test_mocap_keeps_the_splits_apart(folder: Path, tmp_path: Path) -> None:
    assert len(load_mocap(folder)) == 6
    assert {clip.name for clip in load_mocap(folder)}.isdisjoint(clip.name for clip in load_mocap(folder, "free", "validation"))
    with pytest.raises(FormatError, match=r"expected an index\.csv"):
        load_mocap(tmp_path)
    with pytest.raises(FormatError, match="no clip with part"):
        load_mocap(folder, "by-sa", "train")


def one_clip(folder: Path, rig: str, positions: np.ndarray, **rotations: np.ndarray) -> np.ndarray:
    """A folder of one clip of that rig, read back."""
    (folder / "positions17").mkdir(parents=True)
    (folder / "rotations").mkdir()
    np.savez(folder / "positions17" / "a.npz", take=positions)
    np.savez(folder / "rotations" / "a.npz", **{f"take__{name}": value for name, value in rotations.items()})
    (folder / "index.csv").write_text(f"clip,subject,action,split,part,file,rig\ntake,s,swing,train,free,positions17/a.npz,{rig}\n")
    return load_mocap(folder)[0].positions


def test_the_lost_thorax_is_put_back_in_the_direction_of_the_chest(tmp_path: Path) -> None:
    """A body that lies on its side: the thorax continues the spine along -x, whatever "up" is."""
    frames, down = 3, np.array([0.0, 0.0, -0.11])
    joints = np.repeat(moving(1, 0), frames, axis=0)
    squashed = joints.copy()
    squashed[:, 8:] += [0.11, 0, 0]
    turn = np.tile([np.cos(np.pi / 4), 0.0, -np.sin(np.pi / 4), 0.0], (frames, 1))  # z to -x
    still = np.tile([1.0, 0, 0, 0], (frames, 1))
    rotations = {
        "quats": np.stack([turn, still, still], 1),
        "offsets": np.array([[0, 0, 0], [0, 0, 0.1], -down]),
        "parents": np.array([-1, 0, 1]),
        "names": np.array(["Hips", "Spine", "Spine1"]),
    }
    mended = one_clip(tmp_path / "mb", "mb", squashed, **rotations)
    assert np.abs(mended[:, 8:] - joints[:, 8:]).max() < 1e-5
    assert np.abs(mended[:, :7] - joints[:, :7]).max() < 1e-6
    plain = one_clip(tmp_path / "asf", "asf", squashed, **rotations)
    assert np.abs(plain - squashed).max() == 0


def test_shoulders_of_the_common_figure_come_to_lie_as_everybody_elses(tmp_path: Path) -> None:
    narrow = moving(60, 4)
    for arm, side in (((11, 12, 13), -1), ((14, 15, 16), 1)):
        narrow[:, arm] += (narrow[:, [8]] + [side * 0.11 * -1, 0, -0.05]) - narrow[:, [arm[0]]]
    mended = one_clip(tmp_path, "daz", narrow)

    def width(points: np.ndarray) -> float:
        return float(np.linalg.norm(points[:, 11] - points[:, 14], axis=-1).mean())

    assert width(mended) > 1.4 * width(narrow)
    assert np.abs(mended[:, :7] - narrow[:, :7]).max() < 1e-3  # the legs are left alone
    arms = [np.linalg.norm(points[:, 12] - points[:, 11], axis=-1) for points in (narrow, mended)]
    assert np.abs(arms[0] - arms[1]).max() < 1e-3


def test_windows_at_their_own_tempo_are_the_recorded_frames() -> None:
    clip = moving(200, 3)
    bank = MotionBank([Clip("a", "s", "x", clip)])
    window = bank.windows(4, 32, Random(0).generator, tempo=(1.0, 1.0))[0].numpy()
    speed = np.abs(np.diff(window, axis=0)).mean() / np.abs(np.diff(clip, axis=0)).mean()
    assert 0.5 < speed < 2
    slow = bank.windows(64, 32, Random(0).generator, tempo=(0.5, 0.5)).numpy()
    true = bank.windows(64, 32, Random(0).generator, tempo=(1.0, 1.0)).numpy()
    assert np.abs(np.diff(slow, axis=1)).mean() == pytest.approx(np.abs(np.diff(true, axis=1)).mean() / 2, rel=0.1)


def test_a_pose_taken_apart_goes_together_again(bank: MotionBank) -> None:
    positions = bank.windows(8, 40, Random(1).generator)
    posture = bodies.take_apart(positions)
    assert (torch.linalg.det(posture.pelvis) > 0.999).all()
    assert (bodies.put_together(posture) - positions).norm(dim=-1).max() < 0.02  # tempo interpolation shortens bones a little
    # The control: mirrored axes would not put it together.
    posture.pelvis[..., 0] *= -1
    assert (bodies.put_together(posture) - positions).norm(dim=-1).max() > 0.1


def test_new_motions_keep_bones_rigid_and_differ_from_the_recorded(bank: MotionBank) -> None:
    random = Random(5)
    posture = bodies.take_apart(bank.windows(16, 60, random.generator))
    joined = bodies.put_together(bodies.perturb(bodies.recombine(posture, random, 1.0), random, 1.0))
    assert (lengths(joined) - lengths(joined)[:, :1]).abs().max() < 1e-4
    assert (joined - bodies.put_together(posture)).norm(dim=-1).mean() > 0.05


def test_knees_keep_bending_to_their_own_side() -> None:
    """However a leg is bent further, the shin stays on the side of the thigh that it was on."""
    bent = torch.from_numpy(REST)[None, None].repeat(32, 30, 1, 1)
    bent[:, :, 6, 1] -= 0.25  # left shin back, as knees bend for a person who faces +y
    posture = bodies.take_apart(bent)
    side = torch.linalg.cross(posture.bones[:, :, 5], posture.bones[:, :, 6])
    bones = posture.bones.clone()
    bodies._bend_limb(bones, 5, 6, Random(2), torch.ones(32, dtype=torch.bool), swing=0.0, twist=0.0)
    after = torch.linalg.cross(bones[:, :, 5], bones[:, :, 6])
    assert ((side * after).sum(-1) > 0).all()
    assert (bones[:, :, 6] - posture.bones[:, :, 6]).norm(dim=-1).mean() > 0.1


def test_drawn_limbs_stay_within_what_joints_allow() -> None:
    """Crouches, kicks and arms anywhere: shins behind the thighs' front, knees apart to their own sides, bones rigid."""
    standing = torch.from_numpy(REST)[None, None].repeat(64, 30, 1, 1)
    posture = bodies.take_apart(standing)
    drawn = flex(posture, Random(4), share=1.0)
    joined = bodies.put_together(drawn)
    assert (lengths(joined) - lengths(joined)[:, :1]).abs().max() < 1e-4
    left = torch.tensor([1.0, 0.0, 0.0])
    for side, (thigh, shin) in ((1, (5, 6)), (-1, (2, 3))):
        # The legs' axes are the unbowed pelvis': drawn again without the trunk's bow.
        bones = posture.bones.clone()
        _legs(bones, Random(4), torch.ones(64, dtype=torch.bool))
        back = torch.linalg.cross(left.expand_as(bones[:, :, thigh]), bones[:, :, thigh])
        assert (bones[:, :, shin] * back).sum(-1).min() > 0  # no knee bends forward
        assert side * bones[:, :, thigh, 0].mean() > 0
    knees = torch.rad2deg(torch.arccos((drawn.bones[:, :, 5] * drawn.bones[:, :, 6]).sum(-1).clamp(-1, 1)))
    assert knees.max() > 110
    assert (knees < 30).float().mean() > 0.1
    none = flex(posture, Random(4), share=0.0)
    assert torch.allclose(bodies.put_together(none), bodies.put_together(posture), atol=1e-5)
    feet = grounded(joined, standing)[..., 2].amin(-1)
    assert torch.allclose(feet, standing[..., 2].amin(-1), atol=1e-5)
    assert (joined[..., 2].amin(-1) - standing[..., 2].amin(-1)).abs().max() > 0.1


def test_bodies_are_as_tall_as_people_and_legs_carry_the_root(bank: MotionBank) -> None:
    random = Random(3)
    posture = bodies.take_apart(bank.windows(64, 8, random.generator))
    shaped = bodies.reshape(posture, random)
    stature = shaped.lengths[:, [2, 3, 7, 8, 9, 10]].sum(1)
    assert 0.85 < stature.min()
    assert stature.max() < 2.1
    assert stature.std() > 0.08
    assert (shaped.lengths[:, 2] / shaped.lengths[:, 5] - 1).abs().max() < 0.08  # left and right alike


def test_mirroring_twice_is_nothing_and_once_swaps_sides() -> None:
    positions = torch.from_numpy(moving(10, 1))[None].expand(64, -1, -1, -1)
    chosen = torch.arange(64) % 2 == 1
    flipped = bodies.mirror(positions, chosen)
    changed = (flipped - positions).abs().amax((1, 2, 3)) > 1e-6
    assert torch.equal(changed, chosen)
    assert torch.allclose(bodies.mirror(flipped, chosen), positions)
    example = flipped[changed][0]
    assert torch.allclose(example[:, 13, 1:], positions[0, :, 16, 1:])
    assert torch.allclose(example[:, 13, 0], -positions[0, :, 16, 0])


def test_cameras_see_the_person_in_front_and_know_up() -> None:
    positions = torch.from_numpy(REST)[None, None].expand(128, 20, 17, 3)
    views = film(positions, Random(4))
    assert (views.points[..., 2] > 0.3).float().mean() > 0.99
    distance = (positions[:, :1, :1] - positions).norm(dim=-1)
    assert torch.allclose((views.points[:, :, :1] - views.points).norm(dim=-1), distance, atol=1e-4)  # rigid
    head = torch.nn.functional.normalize(views.points[:, :, 10] - views.points[:, :, 3] * 0.5 - views.points[:, :, 6] * 0.5, dim=-1)
    assert ((head * views.up).sum(-1) > 0.9).all()
    # Not mirrored: a person's left is on the picture's right when it faces the camera.
    left = views.points[:, 0, 11] - views.points[:, 0, 14]
    ahead = torch.linalg.cross(left, views.points[:, 0, 8] - views.points[:, 0, 0])
    facing = ahead[:, 2] < -0.02
    assert facing.any()
    assert (left[facing, 0] > 0).all()


@pytest.mark.parametrize("kind", occlusion.KINDS)
def test_each_kind_of_occlusion_acts_and_grows_with_severity(kind: str) -> None:
    rays = torch.randn(48, 120, 17, 2, generator=torch.Generator().manual_seed(0)) * 0.3
    score = torch.ones(48, 120, 17)
    hidden = []
    for severity_ in (0.1, 1.0):
        moved, kept, wrong = occlusion.hide(rays, score, Random(1), severity=severity_, share=1.0, kinds=(kind,))
        assert wrong.any()
        assert (wrong | ((kept == score) & (moved == rays).all(-1))).all()  # what is not reported as wrong is untouched
        hidden.append(wrong.float().mean().item() if kind != "displaced" else (moved - rays).norm(dim=-1)[wrong].mean().item())
    assert hidden[1] > hidden[0]


def test_no_share_hides_nothing() -> None:
    rays, score = torch.randn(8, 60, 17, 2), torch.ones(8, 60, 17)
    moved, kept, wrong = occlusion.hide(rays, score, Random(1), severity=1.0, share=0.0)
    assert torch.equal(moved, rays)
    assert torch.equal(kept, score)
    assert not wrong.any()


def test_a_seed_gives_the_same_batch(bank: MotionBank) -> None:
    first, again, other = (
        draw_batch(bank, batch=4, window=Window(frames=16, reach=8), random=Random(seed), faults=Faults(0.5)) for seed in (7, 7, 8)
    )
    for name, value in vars(first).items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(value, getattr(again, name), rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first.joints, other.joints)


def test_targets_project_onto_the_inputs(bank: MotionBank) -> None:
    """Pose and root target together, seen by the person's own camera, lie where the network is shown the joints."""
    batch = draw_batch(bank, batch=32, window=Window(frames=16, reach=8), random=Random(9))
    depth = torch.exp(batch.root[..., 2])
    joints = batch.joints[:, 8:-8]
    size = torch.exp(batch.context[:, 8:-8, 2])
    pelvis = torch.cat((batch.root[..., :2] * size[..., None], torch.ones_like(depth)[..., None]), -1) * (depth / size)[..., None]
    # The true focal length differs from the assumed one by a factor that scales depth alone: allow for it.
    flat = (batch.pose + pelvis[:, :, None])[..., :2] / pelvis[:, :, None, 2:] / size[..., None, None]
    visible = joints[..., 3] > 0
    assert (flat - joints[..., :2]).norm(dim=-1)[visible].median() < 0.1
    turned = torch.flip(flat, dims=(-1,))
    assert (turned - joints[..., :2]).norm(dim=-1)[visible].median() > 0.2


def test_loss_parts_against_closed_forms(bank: MotionBank) -> None:
    batch = draw_batch(bank, batch=4, window=Window(frames=16, reach=8), random=Random(0), faults=Faults(0.5))
    zero = torch.zeros(4, 16, 17)
    none = torch.zeros(4, 16, 0)
    exact = TemporalOutput(batch.pose, batch.root, zero - 3, zero, batch.up, none)
    _, parts = lifting_loss(exact, batch)
    assert parts["mpjpe"] == parts["velocity"] == parts["root"] == 0
    assert parts["up"] == pytest.approx(0, abs=1e-5)
    shifted = TemporalOutput(batch.pose + torch.tensor([0.0, 0.3, 0.4]), batch.root, zero, zero, -batch.up, none)
    _, parts = lifting_loss(shifted, batch)
    assert parts["mpjpe"] == pytest.approx(0.5, rel=1e-4)
    assert parts["velocity"] == pytest.approx(0, abs=1e-5)
    assert parts["up"] == pytest.approx(2, rel=1e-4)
    assert parts["acceleration"] == pytest.approx(0, abs=1e-5)
    shaken = batch.pose + torch.tensor([0.01, -0.01]).repeat(8)[None, :, None, None]
    assert acceleration_error(shaken, batch.pose) == pytest.approx(0.04 * 3**0.5, rel=1e-3)
    bent = batch.pose.clone()
    bent[:, :, 5] += torch.tensor([0.0, 0.0, 1.6])  # a knee out of place: two of sixteen bones
    assert bone_vector_error(bent, batch.pose) == pytest.approx(0.2, rel=1e-4)
    assert bone_vector_error(shifted.pose, batch.pose) < 1e-6
    stretched = batch.pose * torch.linspace(0.5, 1.5, 16)[None, :, None, None]
    assert bone_length_spread(stretched) > 10 * bone_length_spread(batch.pose)


def test_schedule() -> None:
    recipe = Recipe(steps=1000, warmup=100)
    rates = [learning_rate(recipe, step, 1000) for step in range(1000)]
    assert rates[0] < rates[50] < rates[99] == pytest.approx(recipe.rate, rel=0.02)
    assert rates[-1] < 0.02 * recipe.rate
    assert learning_rate(recipe, 20, 200) == pytest.approx(recipe.rate)  # a short run warms up over a tenth of it
    assert [severity(recipe, step, 1000) for step in (0, 400, 999)] == pytest.approx([0.2, 1.0, 1.0])


def test_recorded_samples_keep_their_posture_and_their_contacts() -> None:
    clip = moving(200, 3)
    contacts = np.zeros((200, 4), np.float32)
    contacts[:, 0] = 1  # the left heel
    bank = MotionBank([Clip("a", "s", "x", clip, contacts)])
    motions, labels = new_motions(bank, batch=64, frames=20, random=Random(1), recorded=0.5)
    known = labels.isfinite().all(-1).all(-1)
    assert torch.equal(known, labels.isfinite().any(-1).any(-1))
    assert 0.25 < known.float().mean() < 0.75
    # One heel stands, the right one in a mirror image.
    assert set(labels[known].sum(-1).unique().tolist()) == {1.0}
    assert set(labels[known].argmax(-1).unique().tolist()) == {0, 2}
    # Of 64 samples of one clip, knees of recorded ones bend only as far as the clip's.
    most = flexion(torch.from_numpy(clip)).max()
    assert flexion(motions[known]).max() < most + 0.02
    assert flexion(motions[~known]).max() > most + 0.2
    nothing, unknown = new_motions(bank, batch=8, frames=20, random=Random(1))
    assert unknown.isnan().all()
    assert nothing.isfinite().all()


def test_flexion_is_the_angle_of_knees_and_elbows() -> None:
    pose = torch.from_numpy(REST).clone()
    thigh = pose[2] - pose[1]
    pose[3] = pose[2] + thigh
    assert flexion(pose)[0] < 1e-2
    turn = bodies.rotation_matrix(torch.tensor([[0.7, 0.0, 0.0]]))[0]
    across = torch.linalg.cross(thigh, torch.tensor([1.0, 0.0, 0.0]))
    assert across.norm() > 0.3
    pose[3] = pose[2] + turn @ thigh
    assert float(flexion(pose)[0]) == pytest.approx(0.7, abs=0.02)


def test_the_loss_of_hinges_straightens_a_limb() -> None:
    straight = torch.from_numpy(REST)[None, None].repeat(1, 3, 1, 1)
    straight[..., 3, :] = 2 * straight[..., 2, :] - straight[..., 1, :]
    bent = straight.clone()
    bent[..., 3, 1] -= 0.1
    bent.requires_grad_(True)
    error = hinge_error(bent, straight)
    assert error > 0.02
    (slope,) = torch.autograd.grad(error, bent)
    assert hinge_error(bent - 0.05 * slope / slope.norm(), straight) < error
    same = straight.clone().requires_grad_(True)
    (still,) = torch.autograd.grad(hinge_error(same, straight), same)
    assert still.isfinite().all()


def test_contacts_are_learned_only_where_they_are_known() -> None:
    logits = torch.tensor([[[4.0, -4.0, 4.0, -4.0]]])
    right, wrong = torch.tensor([[[1.0, 0.0, 1.0, 0.0]]]), torch.tensor([[[0.0, 1.0, 0.0, 1.0]]])
    assert contact_error(logits, right) < 0.05 < 3 < contact_error(logits, wrong)
    half = wrong.clone()
    half[..., 1:] = torch.nan
    assert float(contact_error(logits, half)) == pytest.approx(4.02, abs=0.01)
    assert contact_error(logits, torch.full((1, 1, 4), torch.nan)) == 0
    assert contact_error(torch.zeros(1, 1, 0), right) == 0


def bent_by(degrees: float, frames: int) -> torch.Tensor:
    """(1, T, 17, 3) a figure whose right knee is bent by this much, its other knee and its elbows by 40 degrees."""
    pose = torch.from_numpy(REST).clone()
    for (start, middle, end), angle in zip(((1, 2, 3), (4, 5, 6), (11, 12, 13), (14, 15, 16)), (degrees, 40, 40, 40)):
        upper = pose[middle] - pose[start]
        across = torch.linalg.cross(upper, torch.tensor([1.0, 1.0, 0.3]))
        turn = bodies.rotation_matrix((math.radians(angle) * across / across.norm())[None])[0]
        pose[end] = pose[middle] + turn @ upper
    return pose[None, None].repeat(1, frames, 1, 1)


def test_rare_flexions_count_more_than_common_ones() -> None:
    """The knee is straight in one frame of fifty: five degrees too many count eight times as much there as in another frame."""
    true = torch.cat((bent_by(2, 1), bent_by(40, 49)), 1)
    rare, common = true.clone(), true.clone()
    rare[:, 0], common[:, 1] = bent_by(7, 1)[0, 0], bent_by(45, 1)[0, 0]
    assert hinge_error(rare, true) > 8 * hinge_error(common, true)
