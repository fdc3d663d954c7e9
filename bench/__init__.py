"""What is measured: `python -m bench [NAME...]` prints one JSON line for each figure."""
