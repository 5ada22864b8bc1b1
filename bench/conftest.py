"""What pytest must not import while it looks for examples: packages that need not be there."""

collect_ignore_glob = ["peers/*", "picture.py"]
