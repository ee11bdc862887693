"""How good a segmenter is on labelled scenes: scenes in, average precision out."""
