"""Package metadata, for pip and for colcon alike.

requirements.lock pins what is asked for here. One list of entry points serves two kinds of user: pip puts the commands
into the environment's ``bin``; colcon (through setup.cfg) into ``lib/seg3d_ros``, where ``ros2 run`` looks.
"""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "seg3d_ros"
SHARE = f"share/{NAME}"
ROOT = Path(__file__).resolve().parent


def shared(folder: str, *patterns: str) -> tuple[str, list[str]]:
    """The files of a top-level folder and where they are installed."""
    files = sorted(str(path.relative_to(ROOT)) for pattern in patterns for path in (ROOT / folder).glob(pattern))
    return f"{SHARE}/{folder}", files


setup(
    name=NAME,
    version="0.1.0",
    description="Fine-grained 3-D instances of anything on a robot: RGB-D or fused clouds in, instance markers out",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="The seg3d_ros authors",
    maintainer="The seg3d_ros authors",
    maintainer_email="maintainers@seg3d-ros.invalid",
    packages=find_packages(include=["seg3d_core", "seg3d_core.*", "seg3d_ros", "seg3d_ros.*"]),
    package_data={"seg3d_core": ["weights/*.safetensors", "weights/*.md"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"config/ament_index/{NAME}"]),
        (SHARE, ["package.xml"]),
        shared("launch", "*.launch.py"),
        shared("config", "*.yaml", "*.xml", "*.rviz"),
        shared("config/cameras", "*.yaml"),
    ],
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=[
        "setuptools",
        # The lower bound is what ROS Jazzy has: its message libraries need NumPy 1.
        "numpy>=1.26",
        "scipy>=1.15",
        "numba>=0.61",
        # Numba's compiler, whose own language the innermost loops of sparse products are written in.
        "llvmlite",
        "open3d>=0.20",
        "pillow>=10",
        "pyyaml>=6",
        "pydantic>=2.7",
        "jaxtyping>=0.3.2",
        "annotated-types",
        "rosbags>=0.10.4",
        # Compress what is recorded; rosbags reads it with the same.
        "lz4>=4",
        "backports.zstd>=1 ; python_version < '3.14'",
        # Reads sqlite3 bags for rosbags and raises its own errors.
        "apsw",
        "safetensors>=0.4",
        # Curves and bar charts of benchmarks and training.
        "matplotlib>=3.7",
    ],
    extras_require={
        # ROS 2 itself, for machines without a ROS distribution. The wheels exist for this platform and these Pythons.
        "ros": [
            f"ros-{package} ; platform_machine == 'x86_64' and python_version >= '3.11' and python_version < '3.13'"
            for package in (
                "rclpy[fastrtps]",
                "ament-package",
                "builtin-interfaces",
                "diagnostic-msgs",
                "geometry-msgs",
                "lifecycle-msgs",
                "nav-msgs",
                "rcl-interfaces",
                "rosgraph-msgs",
                "sensor-msgs",
                "std-msgs",
                "std-srvs",
                "visualization-msgs",
            )
        ],
        # For networks. Any build will do, so ./run keeps the one that is there and it is not in the lock.
        "torch": ["torch>=2.6"],
        # Learning: processes, devices and precision; curves in TensorBoard.
        "train": ["lightning-fabric>=2.4", "tensorboard>=2.14"],
        # 2-D masks of images. torchvision must fit torch only for speed: without its compiled part its place is taken.
        "label": ["segment-anything>=1.0", "torchvision>=0.21", "scikit-image>=0.22"],
        # Labelling on many machines.
        "ray": ["ray[data]>=2.40"],
        # Relabelling and the live viewer in a browser.
        "web": ["viser>=1.1"],
        "test": [
            "pytest",
            "pytest-timeout",
            # Tests of the core run on two cores; those on a ROS graph have the machine to themselves.
            "pytest-xdist",
            "hypothesis",
            "beartype",
            "ruff",
            "mypy",
            "import-linter",
            # The peer of our clustering in the benchmarks.
            "scikit-learn",
            "colcon-core",
            "colcon-recursive-crawl",
            "colcon-ros",
        ],
    },
    entry_points={
        "console_scripts": [
            "seg3d = seg3d_core.cli:main",
            "scene_node = seg3d_ros.scene_node:main",
            "fusion_node = seg3d_ros.fusion_node:main",
            "prompt_node = seg3d_ros.prompt_node:main",
            "recorder_node = seg3d_ros.recorder_node:main",
            "viewer_node = seg3d_ros.viewer_node:main",
            "source_node = seg3d_ros.source_node:main",
            "bag_source_node = seg3d_ros.bag_source_node:main",
        ],
    },
)
