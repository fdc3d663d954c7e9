"""Tests of the task engine: sagas, leases, bookings, the executor and its recovery."""
