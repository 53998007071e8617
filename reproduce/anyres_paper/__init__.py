"""Experiments of the any-resolution paper (ECCV 2022) and its supplement."""

from __future__ import annotations

from reproduce.anyres_paper.fig_4_sizes import FIGURE_4
from reproduce.anyres_paper.fig_6_limits import FIGURE_6
from reproduce.anyres_paper.fig_9_panoramas import FIGURE_9, FIGURE_10
from reproduce.anyres_paper.fig_12_metrics import FIGURE_12
from reproduce.anyres_paper.table_2_sizes import TABLE_2
from reproduce.anyres_paper.table_3_enlarging import TABLE_3
from reproduce.anyres_paper.table_4_multisize import TABLE_4
from reproduce.anyres_paper.table_5_large_pictures import TABLE_5
from reproduce.anyres_paper.table_8_oracles import FIGURE_14, TABLE_8
from reproduce.anyres_paper.table_9_precision import TABLE_9
from reproduce.anyres_paper.tables_10_to_13_variations import (
    TABLE_10,
    TABLE_11,
    TABLE_12,
    TABLE_13,
)
from reproduce.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    FIGURE_4,
    TABLE_2,
    TABLE_3,
    FIGURE_6,
    TABLE_4,
    TABLE_5,
    FIGURE_9,
    FIGURE_10,
    FIGURE_12,
    TABLE_8,
    FIGURE_14,
    TABLE_9,
    TABLE_10,
    TABLE_11,
    TABLE_12,
    TABLE_13,
)
