"""One file per group of sub-commands; each is imported only when it is called."""
