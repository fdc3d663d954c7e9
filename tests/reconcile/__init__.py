"""What the gateway believes of the world, and when it changes its mind."""
