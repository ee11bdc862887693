"""Recording without ROS: rosbag2 in MCAP that survives its writer's death, a ring for snapshots, repair."""
