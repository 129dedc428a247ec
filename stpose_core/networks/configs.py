"""The dimensions of the detector's networks, without torch: `stpose_core.networks.spatial` and `stpose_core.networks.finder` build
torch modules of them, `stpose_core.detect.graph` builds ONNX graphs."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from stpose_core.networks.dimensions import check_dimensions, whole_numbers

STRIDE = 4
"""Pixels of the picture per pixel of a heat map of the spatial network, in both directions."""
CELL = 8
"""Pixels of the picture per cell of the finder's map of centres, in both directions."""
MULTIPLE = 64
"""Sides of the finder's pictures are multiples of this."""
_SPATIAL_RANGES = {
    "joints": (1, 200),
    "stem": (3, 256),
    "width": (4, 128),
    "first": (1, 8),
    "blocks": (1, 8),
    "head": (4, 512),
    "heads": (0, 64),
}
_LARGEST_SIDE, _MOST_MODULES = 1024, 8
_FINDER_RANGES = {"side": (64, 2048), "stem": (3, 256), "blocks": (1, 8), "head": (4, 512)}


@dataclass(frozen=True)
class SpatialConfig:
    """The dimensions of a SpatialNetwork, which are stored in the weights file.

    size: (width, height) of the picture, multiples of 32. stem: channels of the first layers, with `first` blocks at 1/4. width:
    channels of the finest branch, twice as many with each coarser one. modules: number of exchanges with two, three
    and four branches (fewer entries: fewer scales; none: one scale). blocks: of each branch in a module. head: channels that
    maps are read from. heads: of the attention over the coarsest branch, before each module that has all branches; 0 for none.
    """

    joints: int = 17
    size: tuple[int, int] = (192, 256)
    stem: int = 32
    first: int = 1
    width: int = 32
    modules: tuple[int, ...] = (1, 1, 2)
    blocks: int = 1
    head: int = 64
    heads: int = 0

    def to_dict(self) -> dict[str, object]:
        """Plain values, for the header of a weights file."""
        return {**asdict(self), "size": list(self.size), "modules": list(self.modules)}

    @staticmethod
    def from_dict(values: dict[str, object]) -> SpatialConfig:
        """The inverse of `to_dict`. Values are untrusted. Raises ValueError if they are unknown, of a wrong type or absurd."""
        check_dimensions(values, SpatialConfig, _SPATIAL_RANGES)
        size, modules = values.get("size", SpatialConfig.size), values.get("modules", SpatialConfig.modules)
        if not whole_numbers(size, 32, _LARGEST_SIDE) or len(size) != 2 or any(side % 32 for side in size):  # type: ignore[arg-type,attr-defined]
            raise ValueError(f"size must be two multiples of 32 up to {_LARGEST_SIDE}, got {size!r:.40}")
        if not whole_numbers(modules, 1, _MOST_MODULES) or len(modules) > 3:  # type: ignore[arg-type]
            raise ValueError(f"modules must be at most three numbers from 1 to {_MOST_MODULES}, got {modules!r:.40}")
        config = SpatialConfig(**{**values, "size": tuple(size), "modules": tuple(modules)})  # type: ignore[arg-type]
        coarsest = config.width << len(config.modules)
        if config.heads and coarsest % config.heads:
            raise ValueError(f"heads must divide the {coarsest} channels of the coarsest branch, got {config.heads}")
        return config


PRESETS = {
    "small": SpatialConfig(heads=8),
    "base": SpatialConfig(stem=64, first=4, width=32, modules=(1, 4, 3), blocks=4, head=128, heads=8),
}
"""`small` for CPUs: 1.2 billion multiplications per picture. `base`: about HRNet-W32."""


@dataclass(frozen=True)
class FinderConfig:
    """The dimensions of a FinderNetwork, which are stored in the weights file.

    side: longer side of the pictures it is made for, pixels. stem: channels at 1/2 of the picture. widths: channels at 1/4, 1/8,
    1/16 and so on (at least 1/4 and 1/8). blocks: residual blocks at each from 1/8 on. head: channels that are read at the end.
    """

    side: int = 320
    stem: int = 16
    widths: tuple[int, ...] = (24, 48, 96, 128, 128)
    blocks: int = 2
    head: int = 64

    def to_dict(self) -> dict[str, object]:
        """Plain values, for the header of a weights file."""
        return {**asdict(self), "widths": list(self.widths)}

    @staticmethod
    def from_dict(values: dict[str, object]) -> FinderConfig:
        """The inverse of `to_dict`. Values are untrusted. Raises ValueError if they are unknown, of a wrong type or absurd."""
        check_dimensions(values, FinderConfig, _FINDER_RANGES)
        widths = values.get("widths", FinderConfig.widths)
        if not whole_numbers(widths, 4, 512) or not 2 <= len(widths) <= 5:  # type: ignore[arg-type]
            raise ValueError(f"widths must be two to five numbers from 4 to 512, got {widths!r:.40}")
        return FinderConfig(**{**values, "widths": tuple(widths)})  # type: ignore[arg-type]
