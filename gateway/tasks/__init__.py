"""Tasks: sagas whose every step is journalled, so that a kill at any moment loses nothing."""
