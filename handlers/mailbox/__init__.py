"""What is laid out for a client in the firm's portal: the channel puts it there, the portal's API shows it."""
