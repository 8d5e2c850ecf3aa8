"""Claims in, outcomes out: what delivering singly and in bulk share stands here, the rest in rooms of its own."""
