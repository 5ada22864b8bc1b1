"""Sparse derivatives: patterns, colouring, compressed Jacobians and Hessians."""
