from .checkpoints import from_pretrained, load, push_to_hub, save, save_pretrained
from .coordinates import AxisGrid, Canvas, PointGrid
from .errors import CrepsError
from .inversion import invert
from .metrics._evaluate import evaluate
from .rendering._renderer import Renderer, render, render_tiles
from .rendering._styles import latents
from .rendering._tiles import Tile
from .rendering._view import View
from .rendering.arrays._open import dask_array, open_zarr
from .rendering.output._save import save_picture
from .serving._notebook import view
from .training._loop import train

__version__: str

__all__ = [
    "AxisGrid",
    "Canvas",
    "CrepsError",
    "PointGrid",
    "Renderer",
    "Tile",
    "View",
    "dask_array",
    "evaluate",
    "from_pretrained",
    "invert",
    "latents",
    "load",
    "open_zarr",
    "push_to_hub",
    "render",
    "render_tiles",
    "save",
    "save_picture",
    "save_pretrained",
    "train",
    "view",
]
