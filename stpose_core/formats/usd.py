"""USD (.usda, .usdc, .usdz): skeletons with their motion and a dressed figure each, several people in one file; metres, y up.

Each person is a SkelRoot with a Skeleton, a SkelAnimation and skinned meshes of `figure`. The rest pose is a T-pose; the joints
have the axes of the world at rest. Written with the package usd-core. Source: the UsdSkel schemas of OpenUSD, openusd.org.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stpose_core.data import Capture, Motion
from stpose_core.errors import OutputError
from stpose_core.extras import how_to_install
from stpose_core.formats import motion_of
from stpose_core.formats.figure import Part, dress
from stpose_core.formats.glb import check, continuous, standing
from stpose_core.formats.names import unique
from stpose_core.reading import one_line


def check_packages(suffix: str) -> None:
    """Raise OutputError if usd-core is missing."""
    try:
        from pxr import Usd  # noqa: F401
    except ImportError as error:
        raise OutputError(f"a {suffix} needs the package usd-core; {how_to_install('usd')}") from error


def write(people: Sequence[Motion | Capture], path: str | Path, units: str = "m") -> None:
    """Write the motions of people, as a `Format` does; always in metres. Raises OutputError if usd-core is missing or fails."""
    check_packages(Path(path).suffix)
    from pxr import Tf, Usd, UsdGeom, UsdUtils

    motions = [motion_of(person) for person in people]
    for motion in motions:
        check(motion, path)
    path = Path(path)
    packed = path.suffix.lower() == ".usdz"
    # A package is made of a file that exists.
    file = path.with_suffix(".usdc") if packed else path
    try:
        stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(motions[0].fps)
        stage.SetFramesPerSecond(motions[0].fps)
        stage.SetStartTimeCode(0)
        stage.SetEndTimeCode(max(len(motion) * motions[0].fps / motion.fps for motion in motions) - 1)
        world = UsdGeom.Xform.Define(stage, "/World")
        stage.SetDefaultPrim(world.GetPrim())
        for person, motion in enumerate(motions):
            _add_person(stage, motion, person, motions[0].fps / motion.fps)
        stage.GetRootLayer().Export(str(file))
        if packed and not UsdUtils.CreateNewUsdzPackage(str(file), str(path)):
            raise OutputError(f"cannot write {path}: USD could not pack it")
    except Tf.ErrorException as error:
        raise OutputError(f"cannot write {path}: {one_line(str(error).rsplit(' : ', 1)[-1])}") from error
    finally:
        if packed:
            file.unlink(missing_ok=True)


def read(path: str | Path) -> tuple[Motion, ...]:
    """The motions in a file, as a `Format` reads it."""
    from stpose_core.formats.usd_reader import read_usd

    return read_usd(path)


def joint_paths(motion: Motion) -> list[str]:
    """The path of each joint, "Hips/Spine/Chest", as UsdSkel names joints."""
    names = unique([re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII) or "_" for name in motion.names])
    paths: list[str] = []
    for name, parent in zip(names, motion.parents):
        paths.append(f"{paths[parent]}/{name}" if parent >= 0 else name)
    return paths


def _add_person(stage: Any, motion: Motion, person: int, step: float) -> None:
    """step: time codes from one frame to the next."""
    from pxr import Gf, UsdSkel, Vt

    base = f"/World/person{person + 1}"
    UsdSkel.Root.Define(stage, base)
    skeleton = UsdSkel.Skeleton.Define(stage, f"{base}/skeleton")
    paths, places = joint_paths(motion), standing(motion)
    skeleton.CreateJointsAttr(paths)
    skeleton.CreateBindTransformsAttr(Vt.Matrix4dArray([Gf.Matrix4d(1.0).SetTranslate(Gf.Vec3d(*place)) for place in places]))
    shifts = motion.offsets.copy()
    shifts[0] = places[0]
    skeleton.CreateRestTransformsAttr(Vt.Matrix4dArray([Gf.Matrix4d(1.0).SetTranslate(Gf.Vec3d(*shift)) for shift in shifts]))
    animation = UsdSkel.Animation.Define(stage, f"{base}/motion")
    animation.CreateJointsAttr(paths)
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)] * len(paths)))
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    quaternions = continuous(motion.rotations)
    for frame in range(len(motion)):
        shifts[0] = motion.root[frame]
        translations.Set(Vt.Vec3fArray.FromNumpy(shifts.astype(np.float32)), frame * step)
        values = [Gf.Quatf(float(w), float(x), float(y), float(z)) for w, x, y, z in quaternions[frame]]
        rotations.Set(Vt.QuatfArray(values), frame * step)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    for part in dress(motion, person):
        _add_mesh(stage, base, part, places[0], skeleton.GetPath())


def _add_mesh(stage: Any, base: str, part: Part, root: np.ndarray, skeleton: Any) -> None:
    from pxr import Gf, Sdf, UsdGeom, UsdShade, UsdSkel, Vt

    mesh = UsdGeom.Mesh.Define(stage, f"{base}/{part.material}")
    points = (part.positions + root).astype(np.float32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(part.normals.astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([3] * len(part.triangles)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(part.triangles.reshape(-1).astype(np.int32)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(Vt.Vec3fArray([Gf.Vec3f(*map(float, points.min(axis=0))), Gf.Vec3f(*map(float, points.max(axis=0)))]))
    mesh.CreateDisplayColorAttr(Vt.Vec3fArray([Gf.Vec3f(*part.colour)]))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton])
    binding.CreateJointIndicesPrimvar(False, 2).Set(Vt.IntArray.FromNumpy(part.joints.reshape(-1).astype(np.int32)))
    binding.CreateJointWeightsPrimvar(False, 2).Set(Vt.FloatArray.FromNumpy(part.weights.reshape(-1).astype(np.float32)))
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
    material = UsdShade.Material.Define(stage, f"{base}/looks/{part.material}")
    shader = UsdShade.Shader.Define(stage, f"{base}/looks/{part.material}/surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*part.colour))
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.8)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
