"""What people and scripts talk to."""
