"""A virtual PIN pad: a device on a serial port, and somebody who types on it."""
