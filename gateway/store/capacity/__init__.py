"""Capacity on record: the ledger, bookings, claims, holds, and the decisions about them."""
