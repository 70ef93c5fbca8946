"""The terminal's memory across power cuts: records, their bytes, what they add up to, the file."""
