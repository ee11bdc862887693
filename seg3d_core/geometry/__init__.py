"""Coordinates, cameras, voxels, neighbours, surfaces: geometry without learning and without ROS."""
