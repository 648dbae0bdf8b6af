"""Pages made from an output folder."""
