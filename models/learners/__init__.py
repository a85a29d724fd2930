"""What is estimated about a client, from the transparent baseline upwards."""
