"""Experiments of the CIPS paper (CVPR 2021) and its appendices."""

from __future__ import annotations

from reproduce.cips_paper.fig_3_mean_style import FIGURE_3
from reproduce.cips_paper.fig_4_encodings import FIGURE_4, FIGURE_5, FIGURE_14
from reproduce.cips_paper.fig_6_zeroed import FIGURE_6
from reproduce.cips_paper.fig_7_spectra import FIGURE_7
from reproduce.cips_paper.fig_8_foveated import FIGURE_8
from reproduce.cips_paper.fig_9_lanczos import FIGURE_9
from reproduce.cips_paper.fig_10_morph import FIGURE_10
from reproduce.cips_paper.fig_11_panoramas import FIGURE_11, FIGURE_17
from reproduce.cips_paper.fig_12_artifacts import FIGURE_12
from reproduce.cips_paper.fig_15_samples import FIGURE_15, FIGURE_16
from reproduce.cips_paper.fig_18_neighbours import FIGURE_18
from reproduce.cips_paper.fig_19_mixing import FIGURE_19
from reproduce.cips_paper.table_1_sets import TABLE_1
from reproduce.cips_paper.table_2_precision import TABLE_2
from reproduce.cips_paper.table_3_ablation import TABLE_3
from reproduce.cips_paper.table_4_parameters import TABLE_4
from reproduce.cips_paper.table_5_patches import TABLE_5
from reproduce.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    TABLE_1,
    TABLE_2,
    TABLE_3,
    FIGURE_3,
    FIGURE_4,
    FIGURE_5,
    FIGURE_6,
    FIGURE_7,
    FIGURE_8,
    FIGURE_9,
    FIGURE_10,
    FIGURE_11,
    FIGURE_12,
    TABLE_4,
    FIGURE_14,
    TABLE_5,
    FIGURE_15,
    FIGURE_16,
    FIGURE_17,
    FIGURE_18,
    FIGURE_19,
)
