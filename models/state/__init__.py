"""What is known of one client, and how one event changes it."""
