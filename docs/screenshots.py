"""Take the pictures of the viewer and of the page that draws by itself: python docs/screenshots.py

With the tools of the tests: Chromium, its driver and the extra dev.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

import creps  # noqa: E402
from browsing import browser, show_on  # noqa: E402
from creps.serving import ServeSettings, build_app, write_live_site  # noqa: E402
from served import on_loopback, static_host  # noqa: E402
from visiting import visit  # noqa: E402

EYE = "#portraits:10&at=0.55,0.45&span={span}&with=lanczos&layout=curtain"


def main() -> None:
    """Write docs/images/viewer.webp and docs/images/live.webp."""
    generator = creps.load("portraits")
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as page:
        show_on(page, width=1152, height=720)
        settings = ServeSettings(workers=2)
        with on_loopback(build_app({"portraits": generator}, settings=settings), settings) as port:
            visit(page, f"http://127.0.0.1:{port}", EYE.format(span=0.3))
            keep(page, "viewer.webp")
        site = Path(folder) / "site"
        write_live_site(site, generator, name="portraits")
        with static_host(site) as host:
            visit(page, host, EYE.format(span=0.6))
            keep(page, "live.webp")


def keep(page: Any, name: str) -> None:
    """Write what the page shows, once all of its gallery is there."""
    page.execute_async_script(GALLERY)
    picture = Image.open(BytesIO(page.get_screenshot_as_png()))
    picture.convert("RGB").save(DOCS / "images" / name, quality=88, method=6)
    print(DOCS / "images" / name)


GALLERY = """
    const seen = (each) => each.getBoundingClientRect().top < innerHeight;
    const images = [...document.querySelectorAll('#gallery img')].filter(seen);
    const look = () => (
        images.every((each) => each.naturalWidth) ? arguments[0]() : setTimeout(look, 200)
    );
    look();
"""

if __name__ == "__main__":
    main()
