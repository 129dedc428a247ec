"""Masks in training: which joints each kind hides, for how long, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stpose_training.data.bodies import Random
from stpose_training.data.occlusion import KINDS, hide

from stpose_core.skeletons import H36M17

FRAMES = 400
# Joints that are hidden together: what a chair, a table, another limb or the edge of the picture covers.
PARTS = [
    *(f"{side}_knee {side}_ankle" for side in "rl"),
    *(f"{side}_elbow {side}_wrist" for side in "rl"),
    *(f"{side}_shoulder {side}_elbow {side}_wrist" for side in "rl"),
    *(f"{side}_hip {side}_knee {side}_ankle" for side in "rl"),
    "l_hip l_knee l_ankle r_hip r_knee r_ankle",
    "r_ankle l_ankle",
]
LOWER = set(H36M17.index(*(f"{side}_{part}" for side in "rl" for part in ("hip", "knee", "ankle"))))


def masked(kind: str, batch: int = 300, **options: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(rays before, rays, score, wrong) of moving people, all joints of full score, with masks of one kind in every sample."""
    random = Random(3)
    before = torch.randn(batch, 1, 17, 2, generator=torch.Generator().manual_seed(0)) * 0.2
    before = before + torch.linspace(0, 1, FRAMES)[None, :, None, None]
    rays, score, wrong = hide(before, torch.ones(batch, FRAMES, 17), random, **{"share": 1.0, "kinds": (kind,), **options})
    return before.numpy(), rays.numpy(), score.numpy(), wrong.numpy()


def run_lengths(frames: np.ndarray) -> list[int]:
    """Lengths of the runs of True in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], frames.astype(int), [0]])))
    return list(edges[1::2] - edges[::2])


@pytest.mark.parametrize("severity", [0.3, 1.0])
def test_a_part_is_hidden_as_a_whole_for_one_run(severity: float) -> None:
    before, rays, score, wrong = masked("part", severity=severity)
    assert np.array_equal(before, rays)
    gone = score == 0
    assert np.array_equal(gone, wrong)
    found, lengths = set(), []
    for sample in gone:
        frames = sample.any(1)
        joints = sample[frames]
        assert (joints == joints[0]).all()
        found.add(tuple(np.flatnonzero(joints[0])))
        (length,) = run_lengths(frames)
        lengths.append(length)
    assert found == {tuple(sorted(H36M17.index(*names.split()))) for names in PARTS}
    longest = 20 + 110 * severity
    assert min(lengths) in (9, 10, 11, 12, 13)
    assert 0.93 * longest < max(lengths) <= longest + 1
    assert np.mean(lengths) == pytest.approx((10 + longest) / 2, rel=0.1)


def test_a_person_is_away_for_a_moment_and_joints_for_longer() -> None:
    _, _, score, _ = masked("person", 1500)
    gone = score == 0
    assert (gone.all(-1) == gone.any(-1)).all()
    away = gone.all(-1).sum(1)
    assert 2 <= away.min() <= 4
    assert 26 <= away.max() <= 32  # two runs of 1 to 15 frames
    assert away.mean() == pytest.approx(16, abs=0.8)

    _, _, score, _ = masked("run", 1500)
    gone = score == 0
    frames = gone.any(-1).sum(1)
    assert 51 <= frames.max() <= 62  # two runs of 3 to 30 frames
    assert frames.mean() == pytest.approx(32, abs=1.5)
    joints = gone.any(1).sum(1)
    assert joints.min() == 1
    assert 9 <= joints.max() <= 10  # one to five in each run


def test_points_and_frames_are_hidden_at_their_rates() -> None:
    _, _, score, _ = masked("point", 400)
    shares = (score == 0).mean((1, 2))
    assert shares.mean() == pytest.approx(0.15, abs=0.015)
    assert 0.24 < shares.max() < 0.34
    assert masked("point", 400, severity=0.2)[2].mean() == pytest.approx(1 - 0.03, abs=0.005)

    _, _, score, _ = masked("frame", 400)
    gone = score == 0
    assert (gone.all(-1) == gone.any(-1)).all()
    shares = gone.all(-1).mean(1)
    assert shares.mean() == pytest.approx(0.125, abs=0.01)
    assert 0.02 < shares.min() < 0.06
    assert 0.18 < shares.max() < 0.29


def test_points_are_hidden_in_blocks_of_one_to_eight_frames() -> None:
    rays, score = torch.zeros(8, 840, 17, 2), torch.ones(8, 840, 17)
    shortest = set()
    for seed in range(60):
        gone = hide(rays, score, Random(seed), share=1.0, kinds=("point",))[1].numpy() == 0
        shortest.add(min(length for sample in gone for joint in sample.T for length in run_lengths(joint)))
    assert shortest == set(range(1, 9))


def test_an_area_hides_what_lies_in_it_for_one_run() -> None:
    rays, _, score, _ = masked("area")
    gone = score == 0
    assert 0.3 < gone.any((1, 2)).mean() < 0.95
    for place, sample in zip(rays, gone):
        frames = sample.any(1)
        if not frames.any():
            continue
        assert np.ptp(np.flatnonzero(frames)) <= 196
        # The box is fixed in the picture: no joint that stays visible lies between those that are hidden.
        middle = place[frames][sample[frames]]
        low, high = middle.min(0), middle.max(0)
        during = slice(np.flatnonzero(frames)[0], np.flatnonzero(frames)[-1] + 1)
        inside = ((place[during] >= low) & (place[during] <= high)).all(-1)
        assert sample[during][inside].all()


def test_displaced_joints_are_wrong_and_doubtful_but_not_hidden() -> None:
    before, rays, score, wrong = masked("displaced", 1500)
    changed = (before != rays).any(-1)
    assert not (changed & ~wrong).any()
    assert (score[~wrong] == 1).all()
    assert 0.5 <= score[wrong].min() < 0.52
    assert 0.98 < score[wrong].max() <= 1
    lengths = [length for sample in wrong for length in run_lengths(sample.any(1))]
    assert max(lengths) in (19, 20, 21)
    assert 1 <= min(lengths) <= 3
    assert np.mean(lengths) == pytest.approx(11, abs=0.3)
    # Either one to four joints are moved, or the legs, or all but the legs, are exchanged.
    mirror = list(H36M17.mirror)
    moved = exchanged = 0
    for start, end, sample in zip(before, rays, wrong):
        joints = set(np.flatnonzero(sample.any(0)))
        if not joints:
            continue
        frames = sample.any(1)
        if joints in (LOWER, set(range(17)) - LOWER):
            exchanged += 1
            assert np.array_equal(end[frames][:, list(joints)], start[frames][:, mirror][:, list(joints)])
        else:
            moved += 1
            assert len(joints) <= 4
            off = (end - start)[frames][:, list(joints)]
            assert np.allclose(off, off[:1], atol=1e-5)  # by the same shift in all frames
    assert moved / 1500 == pytest.approx(0.5, abs=0.05)
    assert exchanged / 1500 == pytest.approx(0.5 * 0.8, abs=0.05)
    # Displacements grow with the severity (few joints, so exchanged sides are left out); low scores stay above those of joints
    # that are not visible.
    far = []
    for severity in (0.2, 1.0):
        before, rays, _, wrong = masked("displaced", severity=severity)
        few = wrong.any(1).sum(1) <= 4
        off = np.abs(rays - before)[few][wrong[few]]
        far.append(off.mean())
        assert off.max() < 8 * off.mean()  # normally distributed
    assert far[0] / far[1] == pytest.approx(0.2, rel=0.25)
    low = hide(torch.zeros(50, 90, 17, 2), torch.full((50, 90, 17), 0.2), Random(0), share=1.0, kinds=("displaced",))
    assert low[1].min() == pytest.approx(0.16)


def test_a_share_of_the_samples_is_masked_by_one_kind_or_two() -> None:
    rays, score = torch.zeros(2000, 60, 17, 2), torch.ones(2000, 60, 17)
    for share in (0.25, 0.75):
        _, seen, _ = hide(rays, score, Random(1), share=share, kinds=("person",))
        assert (seen.numpy() == 0).any((1, 2)).mean() == pytest.approx(share, abs=0.03)
    # Two kinds meet in about a third of the samples, in half of which they differ.
    _, seen, wrong = hide(rays, score, Random(1), share=1.0, kinds=("person", "displaced"))
    hidden, displaced = (seen.numpy() == 0).any((1, 2)), (wrong & (seen > 0)).numpy().any((1, 2))
    assert hidden.mean() == pytest.approx(0.5 + 0.35 / 4, abs=0.03)
    assert (hidden & displaced).mean() == pytest.approx(0.35 / 2 * 0.9, abs=0.04)
    assert set(KINDS) == {"point", "part", "area", "frame", "run", "person", "displaced"}


def test_runs_begin_anywhere_that_they_fit() -> None:
    _, _, score, _ = masked("part", 600)
    gone = (score == 0).any(-1)
    first, length = gone.argmax(1), gone.sum(1)
    place = first / (FRAMES - length)
    assert place.min() < 0.02
    assert place.max() > 0.98
    assert place.mean() == pytest.approx(0.5, abs=0.04)
    assert np.std(place) == pytest.approx(np.sqrt(1 / 12), abs=0.02)


@pytest.mark.parametrize("severity", [0.2, 1.0])
def test_an_area_is_as_large_as_a_body_and_near_it(severity: float) -> None:
    """Its half sides are 0.3 to 0.5 + severity standard deviations of the joints, its middle 1.2 of them off theirs."""
    random = np.random.default_rng(0)
    rays = np.tile(random.normal(0, [0.1, 0.3], (4000, 1, 17, 2)), (1, 31, 1, 1))
    _, score, _ = hide(
        torch.from_numpy(rays).float(), torch.ones(4000, 31, 17), Random(5), share=1.0, kinds=("area",), severity=severity
    )
    hidden = (score.numpy() == 0).any(1)  # in some frame
    middle = rays[:, 0].mean(1) + 1.2 * rays[:, 0].std(1, ddof=1) * random.normal(size=(4000, 2))
    half = rays[:, 0].std(1, ddof=1) * random.uniform(0.3, 0.5 + severity, (4000, 2))
    wanted = (np.abs(rays[:, 0] - middle[:, None]) < half[:, None]).all(-1)
    assert hidden.mean() == pytest.approx(wanted.mean(), rel=0.06)
    assert hidden.any(1).mean() == pytest.approx(wanted.any(1).mean(), rel=0.04)
    assert hidden.sum(1).max() == pytest.approx(wanted.sum(1).max(), abs=2)


def test_an_area_lies_where_the_person_is_in_the_middle_of_the_clip() -> None:
    rays, _, score, _ = masked("area", 600)  # who walks from 0 to 1
    places = rays[score == 0][:, 0]
    assert places.mean() == pytest.approx(0.5, abs=0.03)


def test_an_area_hides_for_up_to_half_as_long_again_as_a_limb_is_hidden() -> None:
    still = torch.zeros(1500, 400, 17, 2)
    still[:, :, 1::2] = 0.01  # all in about one place
    _, score, _ = hide(still, torch.ones(1500, 400, 17), Random(2), share=1.0, kinds=("area",))
    lengths = (score.numpy() == 0).any(-1).sum(1)
    lengths = lengths[lengths > 0]
    assert len(lengths) > 300
    assert 14 <= lengths.min() <= 17
    assert 185 <= lengths.max() <= 196
    assert lengths.mean() == pytest.approx((15 + 195) / 2, rel=0.06)


def test_no_joint_is_moved_further_than_a_body_is_wide_for_little_severity() -> None:
    before, rays, _, wrong = masked("displaced", 400, severity=0.0)
    few = wrong.any(1).sum(1) <= 4
    off = np.abs(rays - before)[few][wrong[few]]
    assert 0 < off.mean() < 0.02, "a twentieth of the severest"
    assert masked("point", 400, severity=0.0)[2].mean() < 1, "nothing is without any masks"
    none = hide(torch.zeros(20, 60, 17, 2), torch.ones(20, 60, 17), Random(0), share=0.0)
    assert (none[1] == 1).all()
    assert not none[2].any()


def test_each_kind_is_drawn_as_often() -> None:
    rays = torch.randn(4000, 60, 17, 2, generator=torch.Generator().manual_seed(0))
    _, score, wrong = hide(rays, torch.ones(4000, 60, 17), Random(4), share=1.0, kinds=("person", "part", "displaced"))
    gone = score.numpy() == 0
    whole = gone.all(-1).any(1)
    moved = (wrong.numpy() & ~gone).any((1, 2))
    only = gone.any(-1).any(1) & ~whole
    # Alone in 65 % of the samples, of which each kind has a third; or with a second draw among the three.
    assert whole.mean() == pytest.approx(0.65 / 3 + 0.35 * 5 / 9, abs=0.03)
    assert moved.mean() == pytest.approx((0.65 / 3 + 0.35 * 5 / 9) * 0.9, abs=0.03)
    assert only.mean() == pytest.approx(0.65 / 3 + 0.35 * 3 / 9, abs=0.03)


def test_a_joint_that_is_not_reported_is_not_displaced_into_sight() -> None:
    rays = torch.randn(200, 40, 17, 2, generator=torch.Generator().manual_seed(0))
    score = torch.full((200, 40, 17), 0.8)
    score[:, :, ::2] = 0
    _, left, wrong = hide(rays, score, Random(5), share=1.0, kinds=("displaced",))
    assert wrong[:, :, ::2].any()
    assert (left[:, :, ::2] == 0).all()
    assert (left[:, :, 1::2] > 0.15).all(), "control: who is reported stays in sight"
