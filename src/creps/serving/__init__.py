"""Pictures over HTTP: IIIF, Deep Zoom and an endless plane of tiles; a viewer; static sites."""
