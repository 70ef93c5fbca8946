"""What each kind of message does: the stages it passes, what it posts, what it answers."""
