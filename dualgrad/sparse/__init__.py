"""Sparse Jacobians and Hessians: colouring, and what is recovered from compressed products."""
