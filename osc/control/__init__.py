"""What a person or a script can ask and tell a running migration."""
