"""The sheet of real people: whom it shows, and that joints are drawn where they count as seen, and only there."""

from __future__ import annotations

import cv2
import footage_sheet
import numpy as np
import pytest
import torch
from stpose_training.spatial.crops import Crops
from test_spatial_footage import Knowing, dots
from torch import Tensor

from stpose_core.networks.configs import SpatialConfig
from stpose_core.networks.spatial import SpatialOutput


def test_each_photograph_and_some_of_each_group_of_clips_are_shown() -> None:
    none = [np.zeros(0, np.uint8)] * 12
    source = np.array(["a", "a", "b"] + ["walk"] * 7 + ["run"] * 2)
    crops = Crops(none, np.zeros((12, 4)), source, np.array([False] * 3 + [True] * 9), none, none)
    assert sorted(footage_sheet.chosen(crops)) == [0, 2, 3, 6, 9, 10, 11]


@pytest.mark.parametrize("hidden", [True, False])
def test_joints_are_drawn_unless_they_are_hidden(hidden: bool) -> None:
    class Seeing(Knowing):
        config = SpatialConfig(size=(96, 128))

        def forward(self, pictures: Tensor) -> SpatialOutput:
            found = super().forward(pictures)
            return SpatialOutput(found.maps, torch.full_like(found.hidden, 5.0 if hidden else -5.0))

    picture = dots(224, 288, [(0, 0, 1.0)])
    box = np.array([30.0, 10.0, 190.0, 270.0])
    shown = footage_sheet.tile(Seeing(), picture, box, 1.25)  # type: ignore[arg-type]
    plain = footage_sheet.cut(picture, footage_sheet.view_of(box, (96, 128), 1.25), (96, 128))
    changed = int((cv2.absdiff(shown, plain).max(-1) > 30).sum())
    assert changed == 0 if hidden else changed > 100
