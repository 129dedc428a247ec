"""What `stpose evaluate spatial` prints."""

from __future__ import annotations

from pathlib import Path

import torch

from stpose_core.networks.spatial import SpatialNetwork
from stpose_training.spatial.measure import called, footage_truth, judge, rendered_truth
from stpose_training.spatial.oks import judge_photos, photo_truth

_PHOTO_ROWS = {"oks": "OKS, mean", "ar": "AR, OKS 0.50 to 0.95", "recall_50": "found at OKS 0.50", "recall_75": "found at OKS 0.75"}


def report(
    network: SpatialNetwork,
    *,
    cache: Path | None = None,
    videos: Path | None = None,
    labelled: Path | None = None,
    device: str = "cpu",
) -> str:
    """Tables in Markdown: PCK at 0.2 torso on the held-out pictures of a cache and on the footage of `videos`, and OKS on labelled
    photographs; the network alone, and averaged with the mirror image."""
    size, place = network.config.size, torch.device(device)
    network = network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    sets = {**({"rendered": rendered_truth(cache, size)} if cache else {}), **(footage_truth(videos, size) if videos else {})}
    tables = []
    if sets:
        rows = ["| set | of | joints | PCK@0.2 torso | with mirror images |", "|---|---|---|---|---|"]
        for name, truth in sets.items():
            plain, both = judge(network, truth, place), judge(network, truth, place, mirrored=True)
            for group, value in plain.items():
                count = truth.counted.sum() if group in ("pck", "flag") else truth.groups[group].sum()
                rows.append(f"| {name} | {called(group)} | {count} | {value:.3f} | {both[group]:.3f} |")
        tables.append("\n".join(rows))
    if labelled:
        photos = photo_truth(labelled, size)
        plain, both = judge_photos(network, photos, place), judge_photos(network, photos, place, mirrored=True)
        rows = [f"| {len(photos.size)} people in photographs, boxes given | value | with mirror images |", "|---|---|---|"]
        rows += [f"| {title} | {plain[name]:.3f} | {both[name]:.3f} |" for name, title in _PHOTO_ROWS.items()]
        tables.append("\n".join(rows))
    return "\n\n".join(tables)
