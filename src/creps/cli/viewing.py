"""What `--size`, `--dpi`, `--zoom`, `--pan` and `--window` say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from creps.cli.parsing import parse_dpi, parse_point, parse_size, parse_window
from creps.errors import UsageError

if TYPE_CHECKING:
    from creps.coordinates import Window
    from creps.rendering.requests import RenderRequest


@dataclass(frozen=True, kw_only=True)
class View:
    """The words of the options, as given.

    Attributes:
        size, dpi, zoom, pan, window: None where nothing is said.
        across: the scene is that many unit squares side by side.
    """

    size: str | None = None
    dpi: str | None = None
    zoom: float | None = None
    pan: str | None = None
    window: str | None = None
    across: int = 1

    @property
    def resolution(self) -> float | None:
        """Pixels an inch that the file is to note."""
        return None if self.dpi is None else parse_dpi(self.dpi)

    @property
    def pixels(self) -> tuple[int, int] | None:
        """(height, width), or None for the model's own resolution."""
        if self.size is None:
            return None
        return parse_size(self.size, dpi=self.resolution, across=self.across)

    def request(
        self, *, truncation: float, truncation_cutoff: int | None, own: int | None = None
    ) -> RenderRequest:
        """The request for a picture of this view, checked.

        Args:
            truncation, truncation_cutoff: as for `RenderRequest`.
            own: the model's resolution, once it is known.
        Raises:
            UsageError, GridError: for words that make no sense, or not together.
        """
        from creps.rendering.requests import RenderRequest
        from creps.rendering.views import refuse_beyond_precision

        size = self.pixels
        if size is None and own is not None:
            size = (own, own * self.across)
        request = RenderRequest(
            size=size,
            window=self._window(),
            truncation=truncation,
            truncation_cutoff=truncation_cutoff,
        )
        if request.window is not None:
            refuse_beyond_precision(request.window, *(size or (1, 1)))
        return request

    def _window(self) -> Window | None:
        """None for all of one unit square, which needs no words in files."""
        from creps.rendering.views import view_window

        if self.window is not None:
            if self.zoom is not None or self.pan is not None:
                raise UsageError("--window says all that is seen: leave --zoom and --pan out")
            return parse_window(self.window)
        if self.zoom is None and self.pan is None and self.across == 1:
            return None
        height, width = self.pixels or (1, self.across)
        return view_window(
            height,
            width,
            zoom=1.0 if self.zoom is None else self.zoom,
            pan=None if self.pan is None else parse_point(self.pan, "pan"),
            across=self.across,
        )
