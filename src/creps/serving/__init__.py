"""Pictures over HTTP: IIIF, Deep Zoom and an endless plane of tiles; a viewer; static sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from creps._lazy import attach

if TYPE_CHECKING:
    from creps.serving._app import build_app
    from creps.serving._notebook import view
    from creps.serving._settings import Limits, ServeSettings
    from creps.serving._sites import SiteSettings, write_site
else:
    __getattr__, __dir__ = attach(__name__, __file__)

__all__ = ["Limits", "ServeSettings", "SiteSettings", "build_app", "view", "write_site"]
