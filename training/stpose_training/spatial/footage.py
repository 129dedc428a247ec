"""Pseudo-labels of real people: joints that the averaged weights find in a plain view are learned in a changed view.

Mean teacher (Tarvainen and Valpola, NeurIPS 2017) over changes of the view, with joints tracked through time where there are frames
around. The rules for reliable joints are this project's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpose_core.detect.views import MARGIN, cut, seen_at, seen_from, view_of
from stpose_core.networks.configs import STRIDE
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.skeletons import H36M17
from stpose_training.spatial.crops import Crops
from stpose_training.spatial.feed import Batch, View, damaged, packed
from stpose_training.spatial.heatmaps import decode as decode_maps
from stpose_training.spatial.heatmaps import with_mirrored
from stpose_training.synth.cache import decode
from stpose_training.synth.pictures import OUTSIDE, VISIBLE
from stpose_training.vision.pixels import shown
from stpose_training.vision.workers import in_processes

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

_REACH = 0.05  # of a view's height: greatest distance of a joint from the mean of its positions before and after
_AGREED = 0.08  # of a view's height: greatest distance to the joint in the wider view, whose pixels are two to three times as large
_WIDER = (2.0, 2.8)  # size of the wider view, relative to the plain one (crops end at 1.4: beyond that the view is empty)


@dataclass(frozen=True)
class Pairs:
    """B people, each in two views. plain, changed: (B, 3, H, W) pictures. matrix: (B, 2, 3) from positions in plain to positions in
    changed views. mirrored: (B,) whether the changed view is mirrored. before, after: (B, 3, H, W) as plain, of the frames around;
    filmed: (B,) where there are such frames. wide: (B, 3, H, W) as plain, with more around; nearer: (B, 2, 3) from it to plain."""

    plain: Tensor
    changed: Tensor
    matrix: Tensor
    mirrored: Tensor
    before: Tensor
    after: Tensor
    filmed: Tensor
    wide: Tensor
    nearer: Tensor


def pairs(
    crops: Crops, *, size: tuple[int, int], count: int, seed: int, device: torch.device, workers: int = 0
) -> Generator[Pairs, None, None]:
    """Endless batches of `count` people: photographs and clips equally often, and each source of a kind equally often. workers:
    processes that draw them, if any."""
    for drawn, own in in_processes(partial(_packed_pairs, crops, size, count), workers, seed):
        yield Pairs(
            plain=shown(drawn.plain, device),
            changed=shown(drawn.changed, device, own),
            matrix=drawn.matrix.to(device),
            mirrored=drawn.mirrored.to(device),
            before=shown(drawn.before, device),
            after=shown(drawn.after, device),
            filmed=drawn.filmed.to(device),
            wide=shown(drawn.wide, device),
            nearer=drawn.nearer.to(device),
        )


def _packed_pairs(crops: Crops, size: tuple[int, int], count: int, seed: int) -> Iterator[tuple[Pairs, int]]:
    """As `pairs`, with pictures as (B, H, W, 3) bytes and the seed of the changed views' colours."""
    random = np.random.default_rng(seed)
    kinds = [np.unique(crops.source[crops.clip == kind]) for kind in (False, True)]
    groups = [(kind, names) for kind, names in zip((False, True), kinds) if len(names)]
    rows = {(kind, name): np.flatnonzero((crops.source == name) & (crops.clip == kind)) for kind, names in groups for name in names}
    while True:
        drawn = []
        for _ in range(count):
            kind, names = groups[int(random.integers(len(groups)))]
            own = rows[kind, names[int(random.integers(len(names)))]]
            row = int(own[int(random.integers(len(own)))])
            drawn.append(_pair(crops, row, size, random))
        plain, changed, before, after, matrices, mirrored, filmed, wide, nearer = zip(*drawn)
        packs = Pairs(
            plain=packed(list(plain)).pictures,
            changed=packed(list(changed)).pictures,
            matrix=torch.from_numpy(np.stack(matrices).astype(np.float32)),
            mirrored=torch.tensor(mirrored),
            before=packed(list(before)).pictures,
            after=packed(list(after)).pictures,
            filmed=torch.tensor(filmed),
            wide=packed(list(wide)).pictures,
            nearer=torch.from_numpy(np.stack(nearer).astype(np.float32)),
        )
        yield packs, int(random.integers(1 << 62))


@torch.no_grad()
def pseudo_labels(teacher: SpatialNetwork, seen: Pairs, trust: float) -> Batch:
    """The changed views with the joints that the teacher finds in the plain ones, corrected by the wider ones: reliable joints
    inside of the changed view as VISIBLE, if there are four or more, all others as OUTSIDE."""
    training = teacher.training
    # Mirror images are read as well: if the two readings differ, as for a front that is mistaken for a back, neither is reliable.
    views = torch.cat((seen.plain, seen.before, seen.after, seen.wide))
    output = teacher.eval()(torch.cat((views, views.flip(-1))))
    teacher.train(training)
    (maps, mirror_maps), (hidden, mirror_hidden) = output.maps.chunk(2), output.hidden.chunk(2)
    both, unseen = with_mirrored(maps, hidden, mirror_maps, mirror_hidden)
    at, mass = decode_maps(both, STRIDE)
    # Hidden joints are not learned, however sharp their map: legs that the picture cuts off would be learned on the arms.
    now, before, after, wide = zip(*(part.chunk(4) for part in (at, torch.where(unseen < 0, mass, 0.0))))
    (places, confidence), (followed, followed_confidence) = now, follow(now, before, after, trust, seen.plain.shape[2])
    filmed = seen.filmed[:, None]
    places, confidence = torch.where(filmed[..., None], followed, places), torch.where(filmed, followed_confidence, confidence)
    places, confidence = _corrected(places, confidence, now[0], _moved(seen.nearer, wide[0]), wide[1], trust, seen.plain.shape[2])
    places = _moved(seen.matrix, places)
    order = torch.tensor(H36M17.mirror, device=places.device)
    other = seen.mirrored[:, None]
    places = torch.where(other[..., None], places[:, order], places)
    confidence = torch.where(other, confidence[:, order], confidence)
    size = places.new_tensor([seen.changed.shape[3], seen.changed.shape[2]])
    known = (confidence >= trust) & ((places >= 0) & (places < size)).all(-1)
    known &= known.sum(1, keepdim=True) >= 4
    return Batch(seen.changed, places, torch.where(known, VISIBLE, OUTSIDE))


def _corrected(
    places: Tensor, confidence: Tensor, now: Tensor, wide_places: Tensor, wide_confidence: Tensor, trust: float, height: float
) -> tuple[Tensor, Tensor]:
    """Positions (B, J, 2) of joints and their confidence (B, J), corrected by those of a wider view: if both are confident and
    differ, the wider view is right.

    An error that is learned becomes permanent, but only at the scale at which it was learned: for example, a person visible down to
    the waist is taken for a small whole person. At another scale the network reads the picture without that error. If the views
    disagree on most joints, they may show two people, and nothing is learned.
    """
    agreed = (wide_places - places).norm(dim=-1) <= _AGREED * height
    # Corrected by the frames around: the wider view has the same error as the plain one.
    agreed |= (places - now).norm(dim=-1) > _REACH * height
    both = (confidence >= trust) & (wide_confidence >= trust)
    same = (agreed & both).sum(1, keepdim=True) * 3 >= both.sum(1, keepdim=True).clamp(min=1)
    places = torch.where(agreed[..., None], places, wide_places)
    return places, torch.where(same & (agreed | both), confidence, torch.zeros_like(confidence))


def _moved(matrix: Tensor, places: Tensor) -> Tensor:
    """Positions (B, J, 2) transformed by matrices (B, 2, 3)."""
    return torch.einsum("bij,bkj->bki", matrix[:, :, :2], places) + matrix[:, None, :, 2]


def follow(
    now: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor], trust: float, height: float
) -> tuple[Tensor, Tensor]:
    """Positions (B, J, 2) of joints and their confidence (B, J), given those shortly before and after in the same view.

    A joint on its path has its own confidence or that of both ends, whichever is higher. A joint off its path, with reliable ends
    that are close together, gets their mean position: it was exchanged with another for a moment. All others get confidence 0.
    height: of the view.
    """
    reach = _REACH * height
    span = (after[0] - before[0]).norm(dim=-1)
    middle, ends = (before[0] + after[0]) / 2, torch.minimum(before[1], after[1])
    fits = (now[0] - middle).norm(dim=-1) <= reach + span / 2
    still = ~fits & (span <= reach) & (ends >= trust)
    places = torch.where(still[..., None], middle, now[0])
    return places, torch.where(fits, torch.maximum(now[1], ends), torch.where(still, ends, torch.zeros_like(ends)))


def _pair(
    crops: Crops, row: int, size: tuple[int, int], random: np.random.Generator
) -> tuple[View, View, View, View, Floats, bool, bool, View, Floats]:
    """A plain and a changed view of a crop, the plain views before and after, the matrix from plain to changed, whether that
    mirrors, whether there are frames before and after (otherwise the view itself is repeated), a wider view, and the matrix
    from that to the plain one."""
    picture, box = decode(crops.jpeg[row]), crops.box[row]
    plain = view_of(box, size, MARGIN * float(np.exp(random.uniform(-0.1, 0.1))))
    extent = max(box[2] - box[0], box[3] - box[1])
    shift = np.tile(np.clip(random.normal(size=2) * 0.06, -0.2, 0.2) * extent, 2)
    angle = float(np.clip(random.normal() * 0.35, -0.9, 0.9)) if random.random() < 0.7 else 0.0
    mirrored = bool(random.random() < 0.5)
    changed = view_of(box + shift, size, MARGIN * float(np.exp(random.uniform(-0.25, 0.35))), angle, mirrored)
    nobody = np.full((17, 2), -1.0), np.full(17, OUTSIDE, np.uint8)
    # Holes are made around joints; random points in the box take their place.
    within = seen_at(changed, random.uniform(box[:2], box[2:], (17, 2)))
    altered = damaged(cut(picture, changed, size), within, nobody[1].copy(), random)
    filmed = bool(len(crops.before[row]) and len(crops.after[row]))
    around = [decode(page) for page in (crops.before[row], crops.after[row])] if filmed else [picture, picture]
    now, before, after = (View(cut(shown, plain, size), *nobody) for shown in (picture, *around))
    wide = view_of(box, size, MARGIN * random.uniform(*_WIDER))
    far = View(cut(picture, wide, size), *nobody)
    return now, altered, before, after, _compose(changed, plain), mirrored, filmed, far, _compose(plain, wide)


def _compose(second: Floats, first: Floats) -> Floats:
    """The matrix (2, 3) from the view of `first` to that of `second`."""
    origin = seen_from(first, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    at = seen_at(second, origin)
    return np.column_stack([at[1] - at[0], at[2] - at[0], at[0]])
