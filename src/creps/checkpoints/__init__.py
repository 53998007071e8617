"""Models on disk: our own format, official files read without running them, ONNX, and the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from creps._lazy import attach

if TYPE_CHECKING:
    from creps.checkpoints._export import export_mapping, export_onnx
    from creps.checkpoints._hub import from_pretrained, push_to_hub, save_pretrained
    from creps.checkpoints._official.conversion import convert, from_state_dict
    from creps.checkpoints._store import (
        Document,
        ModelSummary,
        load,
        packaged_names,
        save,
        summarize,
        weights_id,
        write_tensors,
    )
else:
    __getattr__, __dir__ = attach(__name__, __file__)

__all__ = [
    "Document",
    "ModelSummary",
    "convert",
    "export_mapping",
    "export_onnx",
    "from_pretrained",
    "from_state_dict",
    "load",
    "packaged_names",
    "push_to_hub",
    "save",
    "save_pretrained",
    "summarize",
    "weights_id",
    "write_tensors",
]
