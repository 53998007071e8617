"""Pictures as arrays that are computed when they are read: Zarr, xarray, dask, napari."""
