"""Two peers for Azure: recorded traffic played back, and an ARM simulator of our own."""
