"""Experiments of the CREPS paper (CVPR 2023) and its supplement."""

from __future__ import annotations

from reproduce.creps_paper.fig_1_same_details import FIGURE_1
from reproduce.creps_paper.fig_3_thick_lines import FIGURE_3
from reproduce.creps_paper.fig_5_residuals import FIGURE_5
from reproduce.creps_paper.fig_6_transforms import FIGURE_6
from reproduce.creps_paper.fig_7_feature_maps import FIGURE_7
from reproduce.creps_paper.fig_8_artifacts import FIGURE_8
from reproduce.creps_paper.fig_9_lanczos import FIGURE_9
from reproduce.creps_paper.fig_10_samples import FIGURE_10
from reproduce.creps_paper.table_1_memory_and_time import TABLE_1
from reproduce.creps_paper.table_2_quality import TABLE_2
from reproduce.creps_paper.table_3_scale_consistency import TABLE_3
from reproduce.creps_paper.table_4_ablation import TABLE_4
from reproduce.creps_paper.table_7_any_scale import TABLE_7
from reproduce.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    FIGURE_1,
    FIGURE_3,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    FIGURE_5,
    TABLE_4,
    FIGURE_6,
    FIGURE_7,
    FIGURE_8,
    TABLE_7,
    FIGURE_9,
    FIGURE_10,
)
