"""The fingers of a hand whose names say nothing: chains of bones that fan out from it."""

from __future__ import annotations

import numpy as np

from .rotation import Array, across, unit
from .skeleton import Skeleton
from .slots import FINGERS

_MOST_BONES = 5  # of a chain: a metacarpal, three bones, and an end
_FEWEST = 4  # chains that make a hand


def find_fingers(skeleton: Skeleton, hand: int, side: str) -> dict[str, int]:
    """Bones by slot; empty where the bones below the hand are not four or five fingers. side: ".L" or ".R"."""
    chains = _chains(skeleton, hand)
    if not _FEWEST <= len(chains) <= len(FINGERS):
        return {}
    heads = skeleton.heads
    wrist = heads[hand]
    ends = np.array([heads[chain[-1]] for chain in chains])
    along = unit(np.mean([unit(end - wrist) for end in ends], axis=0))
    # The thumb is the one that no other lies beside.
    first = [_in_palm(wrist, heads[chain]) for chain in chains]
    ways = np.array([unit(heads[chain[start + 1]] - heads[chain[start]]) for chain, start in zip(chains, first)])
    thumb = int((ways @ ways.T - 2 * np.eye(len(ways))).max(axis=1).argmin())
    rest = [chain for number, chain in enumerate(chains) if number != thumb]
    beside = _beside(np.array([heads[chain[-1]] - wrist for chain in rest]), ends[thumb] - wrist, along)
    rest = [rest[number] for number in np.argsort(-beside)]
    found: dict[str, int] = {f"thumb{n}": bone for n, bone in enumerate(chains[thumb][:3], start=1)}
    names = FINGERS[1:] if len(rest) == 4 else ("index", "middle", "pinky")
    for finger, chain in zip(names, rest):
        start = _in_palm(wrist, heads[chain])
        found.update((f"{finger}{n}", bone) for n, bone in enumerate(chain[start : start + 3], start=1))
    return {slot + side: bone for slot, bone in found.items()}


def _chains(skeleton: Skeleton, hand: int) -> list[list[int]]:
    """Unbranched chains of two bones and more below the hand; a bone between it and the knuckles may carry several."""
    below: dict[int, list[int]] = {}
    for bone, parent in enumerate(skeleton.parents):
        below.setdefault(int(parent), []).append(bone)
    found = []
    starts = list(below.get(hand, []))
    while starts:
        chain = [starts.pop()]
        while len(following := below.get(chain[-1], [])) == 1:
            chain.append(following[0])
        if following and chain[0] in below.get(hand, []):
            starts += following
        elif not following and 2 <= len(chain) <= _MOST_BONES:
            found.append(chain)
    return found


def _beside(ends: Array, thumb: Array, along: Array) -> Array:
    """(N,) how far each finger's end lies on the thumb's side, across the palm, whose plane is that of the ends."""
    flat = across(ends, along)
    axis = unit(np.linalg.svd(flat - flat.mean(axis=0))[2][0])
    sign = np.sign((across(thumb, along) - flat.mean(axis=0)) @ axis) or 1.0
    return np.asarray(sign * (flat @ axis))


def _in_palm(wrist: Array, heads: Array) -> int:
    """How many bones of a chain (N, 3) lie inside of the palm: 1 where the first begins near the wrist and three follow."""
    if len(heads) < 4:
        return 0
    return int(np.linalg.norm(heads[0] - wrist) < np.linalg.norm(heads[1] - heads[0]))
