"""The port for a cash register: it names an amount, the terminal sells and tells the result."""
