"""Front door and composition root: command line, demo, doctor. Only here both ends meet."""

__version__ = "0.1.0"
