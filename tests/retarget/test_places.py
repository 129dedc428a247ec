"""What does not depend on where a character stands, how large it is, and which way it faces; and what the plane of a limb shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rigs import character, turn
from test_solver import SOURCE_MAP, skeleton, source
from walks import walk

from stpose_core.retarget.anatomy import Anatomy
from stpose_core.retarget.contacts import AUTO, standing
from stpose_core.retarget.footlock import FootLock, lock_feet
from stpose_core.retarget.ground import above_floor
from stpose_core.retarget.rootmotion import IN_PLACE, OBJECT, split
from stpose_core.retarget.rotation import from_frame, from_matrix, multiply, rotate
from stpose_core.retarget.skeleton import Skeleton
from stpose_core.retarget.soles import sole_of, soles_from_bones
from stpose_core.retarget.solver import CHARACTER, Options, Posed, _off_hinge, retarget

FPS = 30.0
SHIFT = np.array([3.0, -2.0, 0.5])


def placed(shift: np.ndarray, size: float, yaw: float) -> tuple[Skeleton, dict[str, str]]:
    """A character that stands at a place, `size` times as large, turned about the vertical by so many degrees."""
    one = character("mixamo", arms_down=40, rolls=2).turned(turn([0, 0, 1], yaw), size)
    skel = skeleton(one)
    return Skeleton(skel.names, skel.parents, skel.heads + shift, skel.tails + shift, skel.rest, skel.axes), one.named()


def walked(shift: np.ndarray, size: float = 1.0, yaw: float = 0.0, noise: float = 0.02) -> tuple[Posed, np.ndarray]:
    skel, mapped = placed(shift, size, yaw)
    moving = source(walk(noise=noise)[0])
    return retarget(moving, SOURCE_MAP, skel, mapped, Options(facing=CHARACTER)), moving.contacts


@pytest.mark.parametrize(("size", "yaw"), [(1.0, 0.0), (100.0, 0.0), (1.0, 130.0), (0.3, -60.0)])
def test_a_walk_is_the_same_elsewhere_larger_and_turned(size: float, yaw: float) -> None:
    here, contacts = walked(np.zeros(3))
    there, _ = walked(SHIFT, size, yaw)
    way = turn([0, 0, 1], yaw)
    assert there.floor == pytest.approx(0.5)

    def same(before: Posed, after: Posed, metres: float) -> bool:
        slots = ("hips", "foot.L", "toe.R", "shin.R", "hand.L", "head")
        return all(np.abs((after.heads[slot] - SHIFT) / size - before.heads[slot] @ way.T).max() < metres for slot in slots)

    assert same(here, there, 1e-9)
    # The middle of a stance is a median along each axis, so that it depends on the axes by up to the noise.
    for given in (contacts, None):
        locked = [lock_feet(posed, FPS, FootLock(), given) for posed in (here, there)]
        assert same(*locked, 0.02 if yaw else 1e-9)
        assert not same(here, locked[1], 0.008), "control: the lock moves something"


def test_contacts_by_speed_do_not_depend_on_the_size() -> None:
    found = [standing(walked(np.zeros(3), size)[0], FPS, AUTO, 0.08) for size in (1.0, 0.01, 100.0)]
    assert 0.3 < found[0].mean() < 0.9
    assert (found[1] == found[0]).all()
    assert (found[2] == found[0]).all()


@pytest.mark.parametrize("shift", [np.zeros(3), SHIFT])
def test_legs_alone_say_what_is_up(shift: np.ndarray) -> None:
    skel, mapped = placed(shift, 1.0, 0.0)
    legs = {slot: name for slot, name in mapped.items() if slot[:-2] in ("thigh", "shin", "foot", "toe") or slot == "hips"}
    body = Anatomy(skel, legs)
    assert body.up == pytest.approx([0.0, 0.0, 1.0], abs=1e-6)
    assert body.left == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
    assert body.forward == pytest.approx([0.0, -1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("mode", [OBJECT, IN_PLACE])
def test_what_carries_a_character_begins_on_its_floor(mode: str) -> None:
    posed = walked(SHIFT)[0]
    inside, carrier = split(posed, mode, heading=True)
    assert carrier is not None
    assert carrier.centre == pytest.approx(SHIFT), "below the hips at rest"
    assert (carrier.shift @ posed.up) == pytest.approx(np.zeros(len(posed)))
    assert carrier.carried(carrier.centre) == pytest.approx(carrier.centre + carrier.shift)
    for slot in ("foot.L", "head"):
        outside = carrier.centre + carrier.shift + rotate(carrier.turn, inside.heads[slot] - carrier.centre)
        assert outside == pytest.approx(posed.heads[slot])
        assert carrier.inside(posed.heads[slot]) == pytest.approx(inside.heads[slot])


def test_soles_are_found_wherever_the_character_stands() -> None:
    random = np.random.default_rng(0)
    points = np.column_stack([random.uniform(0.05, 0.13, 40), random.uniform(-0.2, 0.08, 40), random.uniform(0.0, 0.12, 40)])
    soles = []
    for shift in (np.zeros(3), SHIFT):
        skel, mapped = placed(shift, 1.0, 0.0)
        body = Anatomy(skel, mapped)
        soles.append((sole_of(body, ".L", points + shift, np.zeros(40)), soles_from_bones(body)[".R"]))
    for here, there in zip(*soles):
        for name in ("points", "ankle", "joint", "heel", "ball"):
            assert getattr(there, name) - SHIFT == pytest.approx(getattr(here, name)), name


def test_a_body_is_raised_to_its_own_floor() -> None:
    posed = walked(SHIFT, noise=0.0)[0]
    assert above_floor(posed, ".L").min() == pytest.approx(0.0, abs=0.01)
    higher = replace(posed, hips=posed.hips + [0.0, 0.0, 0.03]).placed()
    assert above_floor(higher, ".L") == pytest.approx(above_floor(posed, ".L") + 0.03)


def bent(degrees: np.ndarray, plane: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames of an upper bone that points down with its hinge along x, and both directions of a limb that bends by so many degrees
    in a plane that is turned by `plane` degrees about the bone."""
    frames = len(degrees)
    frame = np.tile(from_frame([0.0, 0.0, -1.0], [1.0, 0.0, 0.0]), (frames, 1))
    axis = turn([0, 0, -1], plane) @ [1.0, 0.0, 0.0]
    first = np.tile([0.0, 0.0, -1.0], (frames, 1))
    second = np.stack([turn(axis, angle) @ [0.0, 0.0, -1.0] for angle in degrees])
    return frame, first, second


@pytest.mark.parametrize("plane", [-30.0, 0.0, 25.0])
def test_a_bent_limb_shows_its_plane(plane: float) -> None:
    twist = np.degrees(_off_hinge(*bent(np.full(60, 50.0), plane), FPS))
    assert twist[30] == pytest.approx(plane, abs=0.5)
    faint = np.degrees(_off_hinge(*bent(np.full(60, 1.0), plane), FPS))
    assert abs(faint[30]) < 0.12 * abs(plane) + 1e-9, "the plane of a straight one is noise"


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_the_plane_of_a_limb_is_one_over_a_few_tenths_of_a_second(fps: float) -> None:
    """Noise from frame to frame is no turn; a plane that changes within a second is followed."""
    frames = round(3 * fps)
    noisy = [bent(np.full(1, 50.0), plane) for plane in 15.0 * (-1.0) ** np.arange(frames)]
    twist = np.degrees(_off_hinge(*(np.concatenate(part) for part in zip(*noisy)), fps))
    assert np.abs(twist[frames // 3 : -frames // 3]).max() < 1.0
    slow = [bent(np.full(1, 50.0), plane) for plane in np.linspace(-20.0, 20.0, frames)]
    twist = np.degrees(_off_hinge(*(np.concatenate(part) for part in zip(*slow)), fps))
    assert twist[[frames // 4, frames // 2, -frames // 4]] == pytest.approx([-10.0, 0.0, 10.0], abs=1.0)


def test_a_limb_that_passes_straight_keeps_the_plane_that_it_had() -> None:
    angle = np.full(90, 40.0)
    angle[40:50] = np.linspace(-1.0, -8.0, 10)  # past straight, for a third of a second
    twist = np.degrees(_off_hinge(*bent(angle, 20.0), FPS))
    assert twist[:36] == pytest.approx(np.full(36, 20.0), abs=1.0)
    assert np.abs(twist).max() < 21.0
    assert np.degrees(_off_hinge(*bent(np.full(60, -40.0), 20.0), FPS)) == pytest.approx(np.zeros(60)), "no bend of a hinge"
    assert np.degrees(_off_hinge(*bent(np.full(60, 40.0), 100.0), FPS)) == pytest.approx(np.zeros(60)), "nor sideways"


def test_frames_of_a_limb_turn_with_the_body() -> None:
    frame, first, second = bent(np.full(20, 50.0), 15.0)
    way = turn([1, 2, 3], 70)
    turned = _off_hinge(multiply(from_matrix(way), frame), first @ way.T, second @ way.T, FPS)
    assert turned == pytest.approx(_off_hinge(frame, first, second, FPS))
