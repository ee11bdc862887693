"""seg3d on ROS 2: nodes that turn RGB-D streams and fused clouds into instances."""
