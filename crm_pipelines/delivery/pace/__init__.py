"""How fast an account is asked: waiting for one's turn at the gate, and what the gate is told of answers."""
