"""Independent measurements of stickers: the judge, CGA and its ceilings, Fréchet distance, reconstruction. Needs torch."""
