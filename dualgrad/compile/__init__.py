"""Compile a function once more, for duals: clone it, promote its buffers, explain refusals."""
