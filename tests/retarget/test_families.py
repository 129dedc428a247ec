"""The families' own skeletons, with their twist and helper bones, axes and units: the map that is found for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from families import LOOKS, Dressed, dressed
from test_solver import skeleton

from stpose_core.retarget.bonemap import find_map
from stpose_core.retarget.rotation import from_matrix, multiply
from stpose_core.retarget.skeleton import Skeleton
from stpose_core.retarget.slots import FINGER_SLOTS


def in_world(one: Dressed) -> Skeleton:
    inside, matrix = skeleton(one.inside), one.transform[:3, :3]
    turned = from_matrix(matrix / np.linalg.norm(matrix[:, 0]))
    heads, tails = inside.heads @ matrix.T, inside.tails @ matrix.T
    return Skeleton(inside.names, inside.parents, heads, tails, multiply(turned, inside.rest), turned)


@pytest.mark.parametrize("family", LOOKS)
def test_each_family_is_told_and_every_part_found(family: str) -> None:
    one = dressed(family)
    found = find_map(in_world(one))
    assert found.family == one.preset
    assert found.bones == one.mapped
    assert not found.problems


@pytest.mark.parametrize("family", LOOKS)
@pytest.mark.parametrize("pose", [{}, {"proportions": (0.85, 1.1)}, {"proportions": (1.2, 0.85), "lean": 8}, {"arms_down": 75}])
def test_each_family_is_found_by_its_shape_where_its_names_say_nothing(family: str, pose: dict) -> None:
    one = dressed(family, **pose)
    known = in_world(one)
    found = find_map(replace(known, names=tuple(f"b{number}" for number in range(len(known.names)))))
    assert found.family == "structure"
    named = {slot: known.names[int(name[1:])] for slot, name in found.bones.items()}
    # A finger of one bone has no shape.
    assert named == {slot: name for slot, name in one.mapped.items() if slot != "root" and slot not in FINGER_SLOTS}
