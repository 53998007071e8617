"""Experiments of the CIPS paper (CVPR 2021) and its appendices."""
