"""How weights read real people without labels, as a picture, to be looked at.

    python benchmarks/footage_sheet.py --footage FOLDER --kept footage.npz -o sheet.png [--weights spatial.safetensors]

A tile for each photograph and three for each group of clips, with the joints that count as seen. What is misread here is misread in
training, too, and taught. `--kept` holds the people that were found: that of a run's `--state`, or a new file (minutes).
"""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from stpose_training.spatial.crops import Crops, people_in
from stpose_training.spatial.heatmaps import decode as decode_maps
from stpose_training.synth.cache import decode

from stpose_core.detect.networks import load_spatial
from stpose_core.detect.search import shown_as
from stpose_core.detect.views import MARGIN, cut, view_of
from stpose_core.networks.configs import STRIDE
from stpose_core.networks.spatial import SpatialNetwork
from stpose_core.preview import draw_skeleton
from stpose_core.skeletons import H36M17
from stpose_core.weights import DETECTOR, SPATIAL_FILE

ACROSS, OF_CLIPS, SURE = 14, 3, 0.5


def chosen(crops: Crops) -> list[int]:
    """The first person of each photograph, and some of each group of clips, evenly spaced."""
    rows: list[int] = []
    for clip in (False, True):
        for source in np.unique(crops.source[crops.clip == clip]):
            own = np.flatnonzero((crops.source == source) & (crops.clip == clip))
            rows += [
                int(row) for row in own[np.linspace(0, len(own) - 1, min(OF_CLIPS if clip else 1, len(own))).round().astype(int)]
            ]
    return rows


@torch.no_grad()
def tile(network: SpatialNetwork, picture: NDArray[np.uint8], box: NDArray[np.float64], margin: float) -> NDArray[np.uint8]:
    """The person's view with the joints in it that are sure and not hidden."""
    view = cut(picture, view_of(box, network.config.size, margin), network.config.size)
    output = network(torch.from_numpy(shown_as(view)))
    places, mass = decode_maps(output.maps, STRIDE)
    seen = (mass[0] > SURE) & (output.hidden[0] < 0)
    draw_skeleton(view, places[0].double().numpy(), seen.double().numpy(), H36M17)
    return view


@click.command()
@click.option("--footage", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--kept", type=click.Path(path_type=Path), required=True)
@click.option("--weights", type=click.Path(exists=True, path_type=Path), default=DETECTOR / SPATIAL_FILE)
@click.option(
    "--margin",
    type=click.FloatRange(0.5, 5),
    default=MARGIN,
    help="Size of the view relative to the box. Training uses 1.25, and 2 to 2.8 times that.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(footage: Path, kept: Path, weights: Path, margin: float, output: Path) -> None:
    """Draw the sheet."""
    network, _ = load_spatial(weights)
    crops = people_in(footage, kept=kept, network=network, size=network.config.size, device=torch.device("cpu"), say=click.echo)
    tiles = [tile(network, decode(crops.jpeg[row]), crops.box[row], margin) for row in chosen(crops)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % ACROSS)
    sheet = np.vstack([np.hstack(tiles[at : at + ACROSS]) for at in range(0, len(tiles), ACROSS)])
    if not cv2.imwrite(str(output), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise click.ClickException(f"cannot write {output}")


if __name__ == "__main__":
    main()
