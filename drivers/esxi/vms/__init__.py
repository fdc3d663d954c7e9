"""What is done with one VM of a vCenter, and what its state says."""
