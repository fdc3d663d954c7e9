"""The composition root: what a configuration asks for is put together and served here."""
