"""Reads the skeletons of a USD file in a process of its own, which a hostile file may crash. Arguments: the file, a .npz to write.

For each skeleton N the .npz has N.names, N.parents (J,), N.rest (J, 4, 4) and N.local (T, J, 4, 4), joints relative to their
parents in USD's row vectors, N.world (4, 4) of the skeleton, and N.fps; for the file "up" ("Y" or "Z") and "metres" a unit.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from pxr import Usd, UsdGeom, UsdSkel

_MOST = 20_000_000  # joints times frames


def main(path: str, out: str) -> None:
    """Payloads of the file are not loaded."""
    stage = Usd.Stage.Open(path, Usd.Stage.LoadNone)
    cache = UsdSkel.Cache()
    content: dict[str, Any] = {"up": str(UsdGeom.GetStageUpAxis(stage)), "metres": UsdGeom.GetStageMetersPerUnit(stage)}
    found = 0
    for prim in stage.Traverse():
        if prim.IsA(UsdSkel.Root):
            cache.Populate(UsdSkel.Root(prim), Usd.PrimDefaultPredicate)
    for prim in stage.Traverse():
        if not prim.IsA(UsdSkel.Skeleton):
            continue
        query = cache.GetSkelQuery(UsdSkel.Skeleton(prim))
        if not query or not len(query.GetJointOrder()):
            continue
        times, fps = _grid(query, stage.GetTimeCodesPerSecond())
        if len(times) * len(query.GetJointOrder()) > _MOST:
            raise ValueError(f"{len(times)} frames are too many")
        world = UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
        names = [str(joint).split("/")[-1] for joint in query.GetJointOrder()]
        content.update({
            f"{found}.names": np.array(names),
            f"{found}.parents": np.array(query.GetTopology().GetParentIndices()),
            f"{found}.rest": np.array(query.ComputeJointLocalTransforms(Usd.TimeCode.Default(), True)),
            f"{found}.local": np.stack([np.array(query.ComputeJointLocalTransforms(time)) for time in times]),
            f"{found}.world": np.array(world),
            f"{found}.fps": fps,
        })  # fmt: skip
        found += 1
    np.savez(out, people=found, **content)


def _grid(query: Any, codes: float) -> tuple[list[float], float]:
    """The time codes of the frames, and their rate: that of the animation's keys. codes: a second."""
    animation = query.GetAnimQuery()
    stamps = animation.GetJointTransformTimeSamples() if animation else []
    if len(stamps) < 2:
        return list(stamps) or [0.0], codes
    step = float(np.median(np.diff(stamps)))
    return [stamps[0] + step * frame for frame in range(round((stamps[-1] - stamps[0]) / step) + 1)], codes / step


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
