"""Files, data sets, recordings and synthetic rooms in, results out."""
