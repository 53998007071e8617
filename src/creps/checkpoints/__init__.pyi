from ._export import export_mapping, export_onnx
from ._hub import from_pretrained, push_to_hub, save_pretrained
from ._official.conversion import convert, from_state_dict
from ._store import (
    Document,
    ModelSummary,
    load,
    packaged_names,
    save,
    summarize,
    weights_id,
    write_tensors,
)

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
