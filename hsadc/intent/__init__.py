"""From the running-config to the state that the dataplane must have; pure."""
