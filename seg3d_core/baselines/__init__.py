"""Methods that need no weights and stand beside the learned ones."""
