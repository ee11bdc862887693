"""Instance ids that stay with the object over time."""
