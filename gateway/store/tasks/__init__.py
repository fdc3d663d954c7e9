"""Tasks on record: the queue, the journal, what they wait for, what they left behind."""
