"""Checks of derivatives that were written elsewhere."""
