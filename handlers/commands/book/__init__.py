"""Reading a receivables book: any CSV, columns guessed and shown, dates and amounts never guessed silently."""
