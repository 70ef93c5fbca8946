"""A virtual receipt printer: ESC/POS in, paper out as text, SVG and PNG."""
