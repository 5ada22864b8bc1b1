"""Functions whose derivative is given rather than computed."""
