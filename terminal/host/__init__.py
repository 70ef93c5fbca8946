"""The terminal's side of the conversation with the host, without any I/O."""
