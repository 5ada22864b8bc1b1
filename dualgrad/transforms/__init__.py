"""The transforms: from a function to its derivatives."""
