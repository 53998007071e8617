"""A portrait of 1,048,576 x 1,048,576 pixels in napari.

    pip install 'napari[all]' 'creps[arrays]'

napari asks for the part and the level that are on the screen, and creps draws just these.
"""

import napari

viewer = napari.Viewer()
viewer.open("creps://portraits?seed=7&size=1048576", plugin="creps")
napari.run()
