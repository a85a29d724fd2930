"""What the firm's client portal asks of us: a client's messages and the answers to them, over HTTP."""
