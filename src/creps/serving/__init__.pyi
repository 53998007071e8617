from ._app import build_app
from ._notebook import view
from ._settings import Limits, ServeSettings
from ._sites import SiteSettings, write_live_site, write_site

__all__ = [
    "Limits",
    "ServeSettings",
    "SiteSettings",
    "build_app",
    "view",
    "write_live_site",
    "write_site",
]
