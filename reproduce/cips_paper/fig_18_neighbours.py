"""CIPS, Fig. 18: the real pictures most like each sample."""

from __future__ import annotations

from creps.data._sources import open_images
from creps.metrics._neighbor_sheet import neighbour_sheet
from creps.metrics._real_images import open_reality
from reproduce.cips_paper.models import BRIEFLY
from reproduce.experiment import Experiment, Figure, Findings, Table
from reproduce.standard_models import CIPS, PORTRAITS
from reproduce.workshop import Workshop

SAMPLES, NEIGHBOURS = 5, 5
SIDE = 160


def run(shop: Workshop) -> Findings:
    """Search the training set, and say whether samples are copies."""
    ref, path = shop.ref(CIPS), str(shop.data(PORTRAITS))
    sheet = neighbour_sheet(
        ref,
        open_reality(path),
        extractor=shop.extractor(),
        samples=SAMPLES,
        neighbours=NEIGHBOURS,
        shown=(SIDE, SIDE),
        cache=shop.features,
        workers=shop.workers,
        progress=shop.progress,
    )
    end = f"_{shop.extractor().name}@{ref.size[0]}"
    found = shop.measured(CIPS, PORTRAITS, shop.protocol("neighbours"))
    novelty, copies = found[f"novelty{end}"], found[f"copies{end}"]
    count = len(open_images(shop.data(PORTRAITS)))
    told = f"{copies:.1%} of samples are nearer to a real picture than half the distance it has "
    return Findings(
        tables=(
            Table(
                columns=("distance over that of real pictures, median", "share of copies"),
                rows={"CIPS": (novelty, copies)},
            ),
        ),
        figures=(
            Figure(
                name="neighbours",
                caption=f"Samples, and the nearest of {count:,} training pictures.",
                picture=sheet,
            ),
        ),
        remarks=(
            f"{told}to its own nearest neighbour: "
            + ("copies are rare." if copies < 0.01 else "some are nearly copies."),
        ),
    )


FIGURE_18 = Experiment(
    paper="cips",
    place="Figure 18",
    title="nearest neighbours in the training set",
    claim="Samples are no copies of training pictures.",
    minutes=10,
    differences=(
        BRIEFLY,
        "effnet features of whole pictures of 32 px instead of FaceNet's of faces found by MTCNN",
    ),
    run=run,
)
