"""Truth: what surveys saw is recorded, by whom and when; what was not seen is UNKNOWN."""
