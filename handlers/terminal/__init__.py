"""What commands say to people: events, decisions and numbers in plain words."""
