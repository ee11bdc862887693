"""seg3d on ROS 2: nodes that turn RGB-D streams and fused clouds into instances."""

from seg3d_core.waiting import yield_while_waiting

yield_while_waiting()  # before a node loads Open3D or PyTorch
