"""IIIF Presentation 3.0 manifests: what viewers such as Mirador open.

https://iiif.io/api/presentation/3.0/
"""

from __future__ import annotations

from typing import Any

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
SHOWN = 1024
"""Pixels of the longer side of the picture that a viewer without deep zoom shows."""
THUMBNAIL = 256


def manifest(
    base: str, *, label: str, height: int, width: int, credits: str = "", largest: int = SHOWN
) -> dict[str, Any]:
    """The manifest of one picture.

    Args:
        base: the URI of its image service, without a slash at its end.
        label: its name.
        height, width: declared pixels.
        credits: must be shown with it.
        largest: pixels of the longer side of a still picture, at most `SHOWN`.
    """
    side = min(SHOWN, largest, max(height, width))
    service = [{"id": base, "type": "ImageService3", "profile": "level2"}]
    still = {
        "id": f"{base}/full/!{side},{side}/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "height": height,
        "width": width,
        "service": service,
    }
    canvas = f"{base}/canvas"
    annotation = {
        "id": f"{canvas}/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "body": still,
        "target": canvas,
    }
    small = {
        "id": f"{base}/full/!{THUMBNAIL},{THUMBNAIL}/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "service": service,
    }
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "id": f"{base}/manifest.json",
        "type": "Manifest",
        "label": {"none": [label]},
        "thumbnail": [small],
        "items": [
            {
                "id": canvas,
                "type": "Canvas",
                "label": {"none": [label]},
                "height": height,
                "width": width,
                "items": [
                    {"id": f"{canvas}/page", "type": "AnnotationPage", "items": [annotation]}
                ],
            }
        ],
    }
    if credits:
        document["requiredStatement"] = {
            "label": {"en": ["Credits"]},
            "value": {"none": [credits]},
        }
    return document
