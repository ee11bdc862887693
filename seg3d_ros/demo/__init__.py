"""The whole pipeline on one machine, without camera, GPU or download: ``python -m seg3d_ros.demo``."""
