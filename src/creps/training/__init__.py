"""Training: from a folder of pictures to a model.

    >>> from creps.training import preset
    >>> config = preset("small-32", "images=20000", "data.mirror=true")

`train` starts or resumes a run, `preset` has settings that are known to work, `TrainConfig`
holds them; a `Callback` looks on; `diagnose_run` says how a run is doing, `pack` writes what to
pass on of it. For a loop of your own there are `open_run`, `run_steps` and the losses.
"""

import lazy_loader

# Public names are listed in __init__.pyi; their modules are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
