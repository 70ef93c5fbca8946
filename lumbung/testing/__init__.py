"""For people who test their own card, reader, terminal or host with Lumbung's parts. Public."""
