"""Conversion of keypoints in pixels to inputs of the temporal network, and back: the person's own camera.

A person at the edge of a wide picture is viewed from another direction than one in its centre. Therefore the joints of each frame
are converted to rays, and projected by a virtual camera that points at the person and is scaled to the person's size. The joints
are then independent of scale and place in the picture, which the network receives separately (the context channels). This is a
decision of this project; the paper crops the image around the person instead.

All functions take numpy arrays or torch tensors, batched over a leading dimension: training (torch) and lifting (numpy) share them,
so that both have the same inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

from stpose_core.networks.outputs import Values, constant, hann, library_of, over_time

BOX_REACH = 16
"""Frames on each side over which the box of a person is smoothed."""

VISIBLE_SCORE = 0.15
"""A joint with a lower score counts as hidden: its position is set to zero and flagged."""

# Joints of the trunk determine the place of a person better than hands. Order of h36m17.
_CENTRE_WEIGHTS = (4.0, 4.0, 1.0, 1.0, 4.0, 1.0, 1.0, 4.0, 4.0, 1.0, 1.0, 4.0, 1.0, 1.0, 4.0, 1.0, 1.0)
_SIZE_FLOOR = 1e-3


@dataclass
class PersonView:
    """The person's own camera in each frame. rotation: (B, T, 3, 3), camera axes -> person's axes (z towards the person);
    size: (B, T) angular size (tangent units); known: (B, T) whether there is a detection near the frame."""

    rotation: Values
    size: Values
    known: Values

    def to_camera(self, points: Values) -> Values:
        """(B, T, ..., 3) in the person's axes -> camera axes."""
        extra = points.ndim - 3
        rotation = self.rotation.reshape(*self.rotation.shape[:2], *([1] * extra), 3, 3)
        return (rotation.swapaxes(-1, -2) @ points[..., None])[..., 0]

    def root_to_camera(self, root: Values) -> Values:
        """The network's root head (B, T, 3) -> pelvis in camera axes, metres."""
        xp = library_of(root)
        depth = (xp.exp(root[..., 2].clip(-4, 6)) / self.size)[..., None]
        flat = root[..., :2] * self.size[..., None]
        return self.to_camera(xp.concatenate((flat, xp.ones_like(depth)), -1) * depth)

    def camera_to_root(self, position: Values) -> Values:
        """Inverse of `root_to_camera`: pelvis (B, T, 3) in camera axes -> target of the root head."""
        xp = library_of(position)
        seen = (self.rotation @ position[..., None])[..., 0]
        depth = seen[..., 2].clip(0.05, None)
        flat = seen[..., :2] / depth[..., None] / self.size[..., None]
        return xp.concatenate((flat, xp.log(depth * self.size)[..., None]), -1)


def _smooth(values: Values, weights: Values, taps: list[float]) -> Values:
    """Mean of (B, T, C) over neighbouring frames, weighted by the taps and by the weights (B, T)."""
    return over_time(values * weights[..., None], taps) / over_time(weights, taps).clip(1e-6, None)[..., None]


def view_rotation(centre: Values) -> Values:
    """(..., 2) ray to the person (x/z, y/z) -> (..., 3, 3) the smallest rotation of that ray to the z axis."""
    xp = library_of(centre)
    length = xp.sqrt((centre**2).sum(-1) + 1)
    x, y, z = centre[..., 0] / length, centre[..., 1] / length, 1 / length
    common = 1 / (1 + z)  # z > 0, because rays point forward
    rows = (
        xp.stack((1 - x * x * common, -x * y * common, -x), -1),
        xp.stack((-x * y * common, 1 - y * y * common, -y), -1),
        xp.stack((x, y, z), -1),
    )
    return xp.stack(rows, -2)


def person_view(rays: Values, score: Values, causal: bool = False) -> PersonView:
    """rays: (B, T, J, 2) = (x/z, y/z) of each joint; score: (B, T, J), 0 if not detected. causal: do not use later frames.

    Centre and size are a weighted mean and spread of the visible joints (smoother than a bounding box, which jumps when a limb is
    hidden), smoothed over +-16 frames. Frames further from any detection are not known; their view points straight ahead.
    """
    xp = library_of(rays)
    seen, nothing = score >= VISIBLE_SCORE, xp.zeros_like(score)
    visible = xp.where(seen, xp.ones_like(score), nothing)
    rays = xp.where(seen[..., None], rays, nothing[..., None])
    joint_weight = visible * constant(_CENTRE_WEIGHTS, rays)
    mass, count = joint_weight.sum(-1), visible.sum(-1)
    # One or two joints have a centre but no size, so they are ignored.
    weight = xp.where(count >= 3, mass, nothing[..., 0])
    taps = hann(BOX_REACH)
    if causal:
        taps[BOX_REACH + 1 :] = [0.0] * BOX_REACH
    near = over_time(weight, taps) > 0
    centre = (rays * joint_weight[..., None]).sum(-2) / mass.clip(1e-6, None)[..., None]
    centre = xp.where(near[..., None], _smooth(centre, weight, taps), nothing[..., :1])
    rotation = view_rotation(centre)
    flat = _turned(rays, rotation)
    middle = (flat * visible[..., None]).sum(-2) / count.clip(1, None)[..., None]
    spread = (((flat - middle[..., None, :]) ** 2).sum(-1) * visible).sum(-1) / count.clip(1, None)
    log_size = _smooth(0.5 * xp.log(spread.clip(_SIZE_FLOOR**2, None))[..., None], weight, taps)[..., 0]
    size = xp.where(near, 2 * xp.exp(log_size), xp.ones_like(log_size))
    return PersonView(rotation, size.clip(_SIZE_FLOOR, None), near)


def _turned(rays: Values, rotation: Values) -> Values:
    """(B, T, J, 2) rays in a camera that is rotated by (B, T, 3, 3)."""
    xp = library_of(rays)
    direction = xp.concatenate((rays, xp.ones_like(rays[..., :1])), -1) @ rotation.swapaxes(-1, -2)
    return direction[..., :2] / direction[..., 2:].clip(0.05, None)


def network_inputs(rays: Values, score: Values, view: PersonView) -> tuple[Values, Values]:
    """-> joints (B, T, J, 4) and context (B, T, 4) for TemporalNetwork. Hidden joints are set to zero and flagged."""
    xp = library_of(rays)
    visible = (score >= VISIBLE_SCORE) & view.known[..., None]
    nothing = xp.zeros_like(score)[..., None]
    flat = _turned(xp.where(visible[..., None], rays, nothing), view.rotation) / view.size[..., None, None]
    joints = xp.concatenate((flat.clip(-8, 8), score[..., None], xp.ones_like(score)[..., None]), -1)
    joints = xp.where(visible[..., None], joints, nothing)
    # The third row of the rotation is the viewing direction.
    one = xp.ones_like(view.size)[..., None]
    context = xp.concatenate((view.rotation[..., 2, :2], xp.log(view.size)[..., None], one), -1)
    return joints, xp.where(view.known[..., None], context, xp.zeros_like(one))
