"""What earlier versions wrote must be read, and what they named keeps its name.

`corpus/GENERATION` was written by the version of that date with `record_corpus.py`, and is never
written again: a later version adds a generation of its own.
"""
