"""The weighted mean of two weights files of one network: `python -m stpose_training.mix NEW BEFORE --share 0.25 -o OUT`.

Weights and those fine-tuned from them lie in one basin of the loss, and their mean is often better than either, above all on other
data than that of the training (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from stpose_core.errors import StposeError, TrainingError, WeightsError
from stpose_core.weights import read_config, read_weights, write_weights

KINDS = ("temporal", "spatial", "finder")
# Entries that were measured on or fitted to the weights are not valid for their mean.
_OF_WEIGHTS = ("measures", "passed", "footage", "calibration")
_SEEN = ("samples", "steps")


def mix(new: Path, before: Path, share: float, output: Path) -> None:
    """Writes 1 - share parts of `new` and `share` parts of `before`, with the header of `new` and the parts of the mean ("mixed").

    Raises TrainingError if the files do not hold the same network, WeightsError if one cannot be read.
    """
    if not 0 < share < 1:
        raise TrainingError(f"the share must be between 0 and 1, got {share:g}")
    kind = next((kind for kind in KINDS if _holds(new, kind)), KINDS[0])
    (a, header), (b, other) = read_weights(new, kind), read_weights(before, kind)
    if header.get("network") != other.get("network") or {n: t.shape for n, t in a.items()} != {n: t.shape for n, t in b.items()}:
        raise TrainingError(f"{new} and {before} do not hold the same network")
    tensors = {name: torch.lerp(t, b[name], share) if t.is_floating_point() else t for name, t in a.items()}
    parts = [
        {"share": part, **{name: of[name] for name in _SEEN if name in of}} for part, of in ((1 - share, header), (share, other))
    ]
    kept = {name: value for name, value in header.items() if name not in (*_OF_WEIGHTS, *_SEEN)}
    write_weights(output, tensors, kind, {**kept, "mixed": parts})


def _holds(path: Path, kind: str) -> bool:
    try:
        read_config(path, kind)
    except WeightsError:
        return False
    return True


@click.command()
@click.argument("new", type=click.Path(path_type=Path))
@click.argument("before", type=click.Path(path_type=Path))
@click.option("--share", type=float, required=True, help="Of BEFORE, between 0 and 1.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(new: Path, before: Path, share: float, output: Path) -> None:
    """Write the weighted mean of two weights files."""
    try:
        mix(new, before, share, output)
    except StposeError as error:
        click.echo(f"stpose: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
