"""What runs the convolutions of a network at inference: one interface, several engines, chosen by name."""
