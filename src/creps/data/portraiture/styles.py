"""The styles of portraits: who drew them, under which licence, on which canvas."""

from __future__ import annotations

from dataclasses import dataclass

from creps.data.portraiture.art import CANVAS, toon_head_svg
from creps.data.portraiture.remixes import remix_svg
from creps.errors import ConfigError, GridError, nearest

DEFAULT_STYLE = "toon-head"
"""The style of the packaged model."""


@dataclass(frozen=True, kw_only=True)
class PortraitStyle:
    """A style of drawing.

    Attributes:
        title, artist: what is remixed, and whose it is.
        source: where the original lies.
        licence, licence_url: of the original.
        canvas: side of the art in its own units.
        modified: what differs from the original, as the licence asks to say.
    """

    title: str
    artist: str
    source: str
    licence: str
    licence_url: str
    canvas: int
    modified: str

    @property
    def credit(self) -> str:
        """The credit in one line."""
        return (
            f"Portraits: a remix of {self.title} by {self.artist}, {self.licence}, "
            "drawn with DiceBear."
        )

    @property
    def attribution(self) -> str:
        """The text that travels with the pictures."""
        return f"""\
These portraits are a remix of {self.title} by {self.artist}
    {self.source}
licensed under {_LICENCES[self.licence]} ({self.licence})
    {self.licence_url}
as packaged by DiceBear (https://www.dicebear.com; its code is under the MIT licence).

What was modified: {self.modified}

Whoever passes these pictures on, or a model trained on them, passes on this credit as well.
"""


_BY, _ZERO = "CC BY 4.0", "CC0 1.0"
_LICENCES = {
    _BY: "Creative Commons Attribution 4.0 International",
    _ZERO: "Creative Commons Zero 1.0 Universal",
}
_BY_URL = "https://creativecommons.org/licenses/by/4.0/"
_ZERO_URL = "https://creativecommons.org/publicdomain/zero/1.0/"
_RECOLOURED = """\
colours of skin, hair, clothes and background are drawn from continuous
ranges; the whole figure is scaled, shifted, turned or mirrored."""

STYLES: dict[str, PortraitStyle] = {
    "toon-head": PortraitStyle(
        title="ToonHead",
        artist="Johan Melin",
        source="https://www.figma.com/community/file/1589627891082866389",
        licence=_BY,
        licence_url=_BY_URL,
        canvas=CANVAS,
        modified="""\
colours of skin, hair, clothes and background are drawn from continuous ranges;
eyes have coloured irises, pupils and highlights; cheeks have blush; eyes, eyebrows, mouth and hair
vary in size, place and angle; the whole figure is scaled, shifted, turned or mirrored.""",
    ),
    "micah": PortraitStyle(
        title="Avatar Illustration System",
        artist="Micah Lanier",
        source="https://www.figma.com/community/file/829741575478342595",
        licence=_BY,
        licence_url=_BY_URL,
        canvas=360,
        modified=_RECOLOURED,
    ),
    "personas": PortraitStyle(
        title="Personas by Draftbit",
        artist="Draftbit",
        source="https://personas.draftbit.com/",
        licence=_BY,
        licence_url=_BY_URL,
        canvas=64,
        modified=_RECOLOURED,
    ),
    "open-peeps": PortraitStyle(
        title="Open Peeps",
        artist="Pablo Stanley",
        source="https://www.openpeeps.com/",
        licence=_ZERO,
        licence_url=_ZERO_URL,
        canvas=704,
        modified=_RECOLOURED,
    ),
    "adventurer": PortraitStyle(
        title="Adventurer",
        artist="Lisa Wischofsky",
        source="https://www.figma.com/community/file/1184595184137881796",
        licence=_BY,
        licence_url=_BY_URL,
        canvas=762,
        modified=_RECOLOURED,
    ),
}
"""Styles by name: the first is the default, the others are for transfer learning."""


def portrait_style(name: str) -> PortraitStyle:
    """The style of a name.

    Raises:
        ConfigError: for an unknown one, with the nearest known ones.
    """
    if name not in STYLES:
        raise ConfigError(f"unknown portrait style {name!r}: {nearest(name, STYLES)}")
    return STYLES[name]


def portrait_svg(index: int, seed: int = 0, *, style: str = DEFAULT_STYLE) -> str:
    """The SVG text of a portrait, its licence and credit included.

    Args:
        index: which portrait, >= 0.
        seed: which family of portraits, >= 0.
        style: one of `STYLES`.
    Raises:
        GridError: for a negative index or seed.
        ConfigError: for an unknown style.
        MissingExtraError: if the packages of the `data` extra are missing.
    """
    if index < 0 or seed < 0:
        raise GridError(f"portrait {index} of seed {seed}: both must be at least 0")
    portrait_style(style)
    if style == DEFAULT_STYLE:
        return toon_head_svg(index, seed)
    return remix_svg(style, index, seed)
