"""Slips on paper: ESC/POS, the printer's own words about itself, and a queue that forgets none."""
