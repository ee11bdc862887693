"""seg3d: fine-grained 3-D instances of anything, without classes and without manual labels."""
