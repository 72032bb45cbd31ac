"""How does a drawing become one small picture without ever raising?"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomtriage.report.text import text

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

LOG = logging.getLogger(__name__)
WIDTH_IN = 28 / 3
"""1120 pixels at the style's 120 dots per inch: the page's own width, so that nothing is scaled."""
MAX_HEIGHT_IN = 14.0
COLORS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """Colours that mean something; a page turns them round on dark screens.

    Attributes:
        incident: fill of the incident window.
        baseline: fill of the baseline window.
        error: bars and marks of what failed.
        calm: bars and marks of what did not.
        muted: small print.
        paper: background.
    """

    incident: str
    baseline: str
    error: str
    calm: str
    muted: str
    paper: str


INK = Ink(
    incident="#fbe8dc",
    baseline="#f1f4f7",
    error="#b3261e",
    calm="#3b78a8",
    muted="#59636e",
    paper="#ffffff",
)

Draw = Callable[[Ink], "Figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart as a picture.

    Attributes:
        id: stable id, unique in a page.
        title: what the chart answers.
        alt: what it shows, for who cannot see it.
        png: the picture, on white; empty when it was not drawn.
        note: what was left out, or why nothing was drawn.
    """

    id: str
    title: str
    alt: str
    png: bytes = field(repr=False)
    note: str = ""

    def _repr_png_(self) -> bytes | None:
        return self.png or None


def drawn(id: str, *, title: str, alt: str, draw: Draw, note: str = "") -> Chart:  # noqa: A002  # an id is an id
    """The chart that `draw` makes of its ink."""
    return Chart(
        id=id,
        title=text(title, limit=300),
        alt=text(alt),
        png=_png(draw),
        note=text(note),
    )


def nothing(id: str, *, title: str, why: str) -> Chart:  # noqa: A002  # an id is an id
    """The chart of which there is nothing to draw; `why` says what would make it appear."""
    shown = text(title, limit=300)
    return Chart(id=id, title=shown, alt=shown, png=b"", note=text(why))


def guarded(id: str, *, title: str, make: Callable[[], Chart]) -> Chart:  # noqa: A002  # an id is an id
    """The chart that `make` makes; one that fails becomes one without pictures that says why."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001  # a chart may fail in any way; the page must not
        LOG.warning("Chart %s was not drawn: %s.", text(id, limit=60), type(error).__name__)
        why = f"Not drawn: {type(error).__name__}: {text(error, limit=200)}"
        return nothing(id, title=title, why=why)


def new_figure(height_in: float) -> Figure:
    """An empty figure of the house width, that pyplot never hears of."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, min(height_in, MAX_HEIGHT_IN)))


def _png(draw: Draw) -> bytes:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _style(), warnings.catch_warnings():
        # A glyph that no font has shows as a box; that is no news for the reader.
        warnings.simplefilter("ignore")
        canvas: Any = FigureCanvasAgg(draw(INK))
        canvas.draw()
    out = io.BytesIO()
    _few_colors(np.asarray(canvas.buffer_rgba())[:, :, :3]).save(out, format="png", optimize=True)
    return out.getvalue()


def _few_colors(pixels: np.ndarray) -> Image.Image:
    """The picture in its own most frequent colours: a quarter of the size, the same to the eye.

    Runs are committed, so bytes count; and nothing but pixels goes into the file, so that the
    same data gives the same bytes. Frequent colours stay exact (Pillow's own mapping would tint
    the paper); only soft edges move a little.
    """
    import numpy as np
    from PIL import Image

    height, width, _ = pixels.shape
    red, green, blue = (pixels[:, :, channel].astype("int64") for channel in range(3))
    packed = (red << 16 | green << 8 | blue).reshape(-1)
    codes, place, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    palette = colors[np.argsort(-counts, kind="stable")[:COLORS]]
    apart = ((colors[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2)
    nearest = apart.argmin(axis=1).astype("uint8")
    picture = Image.frombytes("P", (width, height), nearest[place.reshape(-1)].tobytes())
    picture.putpalette(palette.reshape(-1).tolist())
    return picture


def _style() -> AbstractContextManager[None]:
    """The house style alone: what a user's matplotlibrc says has no part in a report."""
    import matplotlib as mpl

    here = Path(__file__).parent
    rc: Any = dict(mpl.rc_params_from_file(here / "style.mplstyle", use_default_template=True))
    # These steer a running kernel rather than a drawing.
    for key in ("backend", "interactive", "toolbar"):
        rc.pop(key, None)
    return mpl.rc_context(rc)
