"""The scores: each says as an integer how gladly a host takes one more VM, higher being gladder."""
