"""How each foot shall be turned and where its ankle shall be, so that a standing foot stands on the floor and does not slide.

A foot that stands on heel and ball lies flat with one heading; one that rolls over the heel or the ball keeps its pitch, and toes
on the ground lie flat. The ankle is then as high as puts the sole on the floor, and the point of the sole that stands is held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .contacts import Mask, runs
from .ground import smoothed
from .ik import Leg
from .rotation import Array, about, across, angle_between, blend, inverse, multiply, rotate, unit
from .soles import heading_of, size_of
from .solver import Posed

_EASE = 0.12  # s in which a foot turns flat, and back
_NOISE, _FLAT = (
    np.radians(8.0),
    np.radians(18.0),
)  # a foot nearer to flat than the first lies flat, one further than the second does not
_TILT = np.radians(45.0)  # the most by which a heel is lifted for the leg to reach
_PIVOT = np.radians(5.0)  # a foot that stands turns no less than this
_LEVEL = 0.01  # m, of a leg of 0.9 m: heel and ball of a flat foot differ less in height
_ROLL = 1.01  # of its longest reach, up to which a leg reaches by rolling over the ball
_CHANGE = 0.25  # s for a correction to come and go
_PACE = 0.8  # m/s, of a leg of 0.9 m, at which a correction may change at most
_HEEL, _BALL, _BOTH, _FREE = 1, 2, 3, 0


@dataclass
class FootPlan:
    """What one foot shall do. foot, toe: (T, 4) turns from rest. ankle: (T, 3). held: (T,) frames in which it is held."""

    foot: Array
    toe: Array
    ankle: Array
    held: Mask


@dataclass(frozen=True)
class FootTurn:
    """How a foot lies. foot, toe: (T, 4) turns from rest. height: (T,) of the ankle along `up` with the sole on the floor."""

    foot: Array
    toe: Array
    height: Array


def turn_foot(posed: Posed, side: str, on_ground: Mask, fps: float) -> FootTurn:
    """A foot turned as it shall be. on_ground: (T, 2) heel and ball."""
    foot, toe = _turned(posed, side, _state(on_ground), fps)
    return FootTurn(foot, toe, posed.floor - (posed.soles[side].offsets(foot, toe) @ posed.up).min(axis=1))


def _state(on_ground: Mask) -> NDArray[np.int64]:
    return np.asarray(on_ground[:, 0] * _HEEL + on_ground[:, 1] * _BALL, dtype=np.int64)


def plan_foot(posed: Posed, side: str, turned: FootTurn, on_ground: Mask, fps: float, radius: float) -> FootPlan:
    """The plan of one foot. on_ground: (T, 2) heel and ball. radius: how far it may drift from its hold, for legs of 0.9 m."""
    sole, up, size = posed.soles[side], posed.up, size_of(posed.anatomy)
    state = _state(on_ground)
    foot, toe, height = turned.foot, turned.toe, turned.height
    own = posed.heads["foot" + side]
    heel, ball = rotate(foot, sole.heel - sole.ankle), rotate(foot, sole.ball - sole.ankle)
    # On the whole foot the lower point holds: a foot that is still pitched rolls over it.
    on_heel = (state == _HEEL) | ((state == _BOTH) & ((ball - heel) @ up > 0.003 * size))
    level = (state == _BOTH) & (np.abs((ball - heel) @ up) < _LEVEL * size)
    share = np.where(level[1:], _pivot(own, heel, ball, up), np.where(on_heel[1:], 0.0, 1.0))
    shift = np.full_like(own, np.nan)
    for first, end in runs(state != _FREE):
        _hold(shift, own, heel, sole.to_joint(foot), share, up, first, end, radius * size, max(2, round(0.1 * fps)))
    shift += ((height - own @ up)[:, None]) * up
    leg = Leg(posed, side)
    reach = np.linalg.norm(own + shift - posed.heads["thigh" + side], axis=1)
    # Over the ball a foot can roll: it is released early only where its heel would have to rise a lot.
    far = reach > leg.longest() * np.where(on_heel | (state == _FREE), 1.0, _ROLL)
    _trim(shift, far, max(1, round(0.1 * fps)))
    held = np.isfinite(shift[:, 0])
    lift = _heel_lift(posed, side, foot, own + shift, held & ~on_heel, fps)
    foot, before = multiply(lift, foot), foot
    height = posed.floor - (sole.offsets(foot, toe) @ up).min(axis=1)
    # The ball stays where it is while the heel comes up.
    shift += across(sole.to_joint(before) - sole.to_joint(foot), up)
    shift += (height - (own + shift) @ up)[:, None] * up
    shift = _with_room(shift, _PACE * size / fps)
    held = np.isfinite(shift[:, 0])
    shift = _bridged(shift, max(1, round(_CHANGE * fps)))
    ankle = own + shift
    ankle += _clearance(ankle @ up, height, held, fps)[:, None] * up
    reach = ankle - posed.heads["thigh" + side]
    part = leg.longest() / np.linalg.norm(reach, axis=1)
    ankle = np.where((held | (part > 1))[:, None], ankle, posed.heads["thigh" + side] + part[:, None] * reach)
    return FootPlan(foot, toe, ankle, held)


def _trim(shift: Array, far: Mask, most: int) -> None:
    """Let holds begin later and end earlier (NaN), by at most so many frames, where the leg cannot reach them."""
    for first, end in runs(np.isfinite(shift[:, 0])):
        reach = min(most, (end - first) // 3)
        start, stop = first, end
        while start - first < reach and far[start] and first > 0:
            start += 1
        while end - stop < reach and far[stop - 1] and end < len(far):
            stop -= 1
        shift[first:start], shift[stop:end] = np.nan, np.nan


def _heel_lift(posed: Posed, side: str, foot: Array, ankle: Array, on_ball: Mask, fps: float) -> Array:
    """(T, 4) by which a foot (T, 4) rolls over its ball, in the world, where its leg is too short to keep the heel down.

    ankle: (T, 3), NaN where the foot is free; there the lift fades.
    """
    hip, longest = posed.heads["thigh" + side], Leg(posed, side).longest()
    ahead = unit(across(rotate(foot, heading_of(posed.anatomy, side)), posed.up))
    axis = np.cross(posed.up, ahead)
    to_ankle = -posed.soles[side].to_joint(foot)
    needed = np.zeros(len(hip))
    angles = np.linspace(0.0, _TILT, 91)
    with np.errstate(invalid="ignore"):
        lacking = on_ball & (np.linalg.norm(ankle - hip, axis=1) > longest)
    for frame in np.flatnonzero(lacking):
        ball = ankle[frame] - to_ankle[frame]
        reach = np.linalg.norm(ball + rotate(about(axis[frame], angles), to_ankle[frame]) - hip[frame], axis=1)
        enough = np.flatnonzero(reach <= longest[frame])
        needed[frame] = angles[enough[0] if len(enough) else reach.argmin()]
    return about(axis, covering(needed, max(1, round(0.07 * fps))))


def _turned(posed: Posed, side: str, state: NDArray[np.int64], fps: float) -> tuple[Array, Array]:
    """(T, 4) turns of foot and toe from rest: flat where they stand, as they were elsewhere."""
    slot, ease = "foot" + side, max(1, round(_EASE * fps))
    own = posed.turned(slot)
    own_toe = posed.turned("toe" + side) if "toe" + side in posed.rotations else own
    yaw = np.unwrap(_heading(posed, side, own))
    # A foot that is still pitched, or already, is only turned flat as far as noise explains it.
    level = angle_between(own, about(posed.up, yaw))
    near = smoothed(1 - _smooth((level - _NOISE) / (_FLAT - _NOISE)), 0.04 * fps)
    foot = own
    for first, end in runs(state == _BOTH):
        steady = np.pad(_steady(yaw[first:end]), (first, len(yaw) - end), mode="edge")
        foot = blend(foot, about(posed.up, steady), near * _inside(len(foot), first, end, ease))
    toe = multiply(foot, multiply(inverse(own), own_toe))
    level = about(posed.up, _heading(posed, side, foot))
    for first, end in runs((state & _BALL) > 0):
        target = level.copy()
        target[:first], target[end:] = level[first], level[end - 1]
        toe = blend(toe, target, _around(len(toe), first, end, ease))
    return foot, toe


def _heading(posed: Posed, side: str, foot: Array) -> Array:
    """(T,) rad about `up` from the heading of a foot at rest to that of its turns (T, 4)."""
    ahead = heading_of(posed.anatomy, side)
    now = across(rotate(foot, ahead), posed.up)
    return np.asarray(np.arctan2(np.cross(ahead, now) @ posed.up, now @ ahead))


def _steady(yaw: Array) -> Array:
    """(n,) rad: one heading for a foot that rests; a foot that pivots turns on, without its noise."""
    if np.ptp(yaw) <= 2 * _PIVOT:
        return np.full(len(yaw), np.median(yaw))
    ways = []
    for series in (yaw, yaw[::-1]):
        out = np.empty(len(series))
        out[0] = series[0]
        for at in range(1, len(series)):
            out[at] = np.clip(out[at - 1], series[at] - _PIVOT, series[at] + _PIVOT)
        ways.append(out)
    return smoothed((ways[0] + ways[1][::-1]) / 2, 2.0)


def _inside(count: int, first: int, end: int, ease: int) -> Array:
    """(T,) 1 within a stance, eased to 0 over its first and last frames: the heel strikes, and lifts, with the pitch it has."""
    at = np.arange(count)
    before = at - first + 1.0 if first > 0 else np.full(count, np.inf)
    after = end - at + 0.0 if end < count else np.full(count, np.inf)
    ramp = _smooth(np.minimum(np.minimum(before, after) / (min(ease, (end - first) / 2) + 1), 1.0))
    return np.where((at >= first) & (at < end), ramp, 0.0)


def _around(count: int, first: int, end: int, ease: int) -> Array:
    """(T,) 1 from `first` to `end`, and eased to 0 over `ease` frames on both sides."""
    at = np.arange(count)
    return _smooth(1 - np.maximum(np.maximum(first - at, at - end + 1), 0) / (ease + 1))


def _hold(
    shift: Array, own: Array, heel: Array, ball: Array, share: Array, up: Array, first: int, end: int, radius: float, gap: int
) -> None:
    """Write the level shifts of a stance into `shift`; it is cut where the foot leaves its hold by more than `radius`.

    share: (T - 1,) 0 where the heel stands in a step, 1 where the ball does.
    """
    start = first
    while start < end:
        # Where the ankle goes if the point that stands does not move: first the heel, then the ball takes over.
        step = [np.diff(point[start:end], axis=0) for point in (heel, ball)]
        part = share[start : end - 1, None]
        moved = (part - 1) * step[0] - part * step[1]
        ankle = own[start] + np.concatenate([np.zeros((1, 3)), np.cumsum(moved, axis=0)])
        off = across(own[start:end] - ankle, up)
        middle = np.cumsum(off, axis=0) / np.arange(1, len(off) + 1)[:, None]
        left = np.flatnonzero(np.linalg.norm(off - middle, axis=1) > radius)
        stop = start + int(left[0]) if len(left) else end
        last = max(start, stop - gap) if len(left) else end
        if last - start > 1:
            part = off[: last - start]
            shift[start:last] = np.median(part, axis=0) - part
        start = max(stop, start + 1)


def _pivot(own: Array, heel: Array, ball: Array, up: Array) -> Array:
    """(T - 1,) in each step of a flat foot the point, from heel (0) to ball (1), that moves least over the ground.

    A foot that turns on the spot turns about it: held at another point, the leg would have to follow the whole turn. own: (T, 3)
    the ankle; heel, ball: (T, 3) from there.
    """
    first, second = (across(np.diff(own + point, axis=0), up) for point in (heel, ball))
    apart = first - second
    length = (apart**2).sum(-1)
    return np.asarray(np.where(length > 1e-12, np.clip((first * apart).sum(-1) / np.maximum(length, 1e-12), 0.0, 1.0), 0.5))


def _clearance(ankle: Array, needed: Array, held: Mask, fps: float) -> Array:
    """(T,) by which a swinging foot is raised so that no point of its sole is below the floor."""
    lacking = np.where(held, 0.0, np.maximum(needed - ankle, 0.0))
    if not lacking.any():
        return lacking
    # Smooth, and nowhere below what is needed.
    soft = smoothed(lacking, 0.03 * fps)
    for first, end in runs(~held):
        frames = np.arange(first, end)
        edge = np.full(len(frames), np.inf)
        edge = np.minimum(edge, frames - first + 1 if first > 0 else np.inf)
        edge = np.minimum(edge, end - frames if end < len(held) else np.inf)
        soft[first:end] *= np.clip(edge / 3.0, 0.0, 1.0)
    return np.asarray(np.where(held, 0.0, np.maximum(lacking, soft)))


def _with_room(shift: Array, pace: float) -> Array:
    """Let holds begin later and end earlier (NaN) where the correction would have to change faster than `pace` a frame."""
    out, holds = shift.copy(), runs(np.isfinite(shift[:, 0]))
    for (start, end), (after, stop) in zip(holds, holds[1:]):
        # An eased change is half as fast again in its middle.
        needed = int(np.ceil(1.5 * np.linalg.norm(shift[after] - shift[end - 1]) / pace))
        lacking = max(0, needed - (after - end))
        early = min((lacking + 1) // 2, (end - start) // 3)
        late = min(lacking - early, (stop - after) // 3)
        out[end - early : end] = np.nan
        out[after : after + late] = np.nan
    return out


def _bridged(shift: Array, change: int) -> Array:
    """Fill the frames between the holds (NaN): smoothly from one correction to the next, to none where they are far apart."""
    out = shift.copy()
    known = np.isfinite(shift[:, 0])
    for first, end in runs(~known):
        before = shift[first - 1] if first > 0 else np.zeros(3)
        after = shift[end] if end < len(shift) else np.zeros(3)
        steps = np.arange(1, end - first + 1)
        if first > 0 and end < len(shift) and end - first <= 2 * change:
            part = _smooth(steps / (end - first + 1))[:, None]
            out[first:end] = (1 - part) * before + part * after
            continue
        length = min(change, end - first + 1)
        fade_out = _smooth(1 - steps / length) if first > 0 else np.zeros(len(steps))
        fade_in = _smooth(1 - (end - first + 1 - steps) / length) if end < len(shift) else np.zeros(len(steps))
        out[first:end] = fade_out[:, None] * before + fade_in[:, None] * after
    return out


def _smooth(part: Array) -> Array:
    """0..1 with speed and acceleration 0 at both ends."""
    part = np.clip(part, 0.0, 1.0)
    return np.asarray(part**3 * (10 - 15 * part + 6 * part**2))


def keep_apart(posed: Posed, plans: dict[str, FootPlan], fps: float) -> None:
    """Move the planned ankles so that they come no nearer to each other sideways than in the motion itself.

    Only where the legs pass each other: feet further apart than the hips are left as planned. A foot that stands is moved for all
    of its stance, a swinging one in the frames that need it.
    """
    left, right = plans[".L"], plans[".R"]
    beside = unit(across(rotate(posed.turned("hips"), posed.anatomy.left), posed.up))
    before = ((posed.heads["foot.L"] - posed.heads["foot.R"]) * beside).sum(-1)
    wide = float(np.linalg.norm(posed.anatomy.head_of("thigh.L") - posed.anatomy.head_of("thigh.R")))
    least = np.minimum(before, wide)
    for _ in range(6):
        lacking = np.maximum(least - ((left.ankle - right.ankle) * beside).sum(-1), 0.0)
        if lacking.max() < 1e-6:
            return
        for plan, sign, other in ((left, 1.0, right), (right, -1.0, left)):
            share = np.where(plan.held & ~other.held, 0.0, np.where(plan.held == other.held, 0.5, 1.0))
            push = _pushed(lacking * share, plan.held, max(1, round(0.1 * fps)))
            plan.ankle = plan.ankle + sign * push[:, None] * _one_axis(beside, plan.held)


def _pushed(wanted: Array, held: Mask, reach: int) -> Array:
    """(T,) a smooth push of at least `wanted`; the same in all frames of a hold."""
    out = covering(wanted, reach)
    levels = np.full(len(out), np.nan)
    for first, end in runs(held):
        levels[first:end] = wanted[first:end].max()
    edges = _bridged(np.repeat(levels[:, None], 3, axis=1), 2 * reach)[:, 0]
    for first, end in runs(~held):
        frames = np.arange(first, end)
        near = np.minimum(frames - first + 1 if first > 0 else np.inf, end - frames if end < len(held) else np.inf)
        out[first:end] = np.maximum(edges[first:end], out[first:end] * np.clip(near / (reach + 1.0), 0.0, 1.0))
    return np.asarray(np.where(held, np.nan_to_num(levels), out))


def _one_axis(beside: Array, held: Mask) -> Array:
    """(T, 3) the sideways axis, the same in all frames of a hold."""
    out = beside.copy()
    for first, end in runs(held):
        out[first:end] = unit(beside[first:end].mean(axis=0))
    return out


def covering(values: Array, reach: int) -> Array:
    """(T,) a smooth curve that is nowhere below `values`: the mean of the largest values around."""
    if not values.any():
        return values
    padded = np.pad(values, 2 * reach)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    window = np.hanning(2 * reach + 3)[1:-1]
    return np.asarray(np.convolve(highest, window / window.sum(), mode="valid"))
