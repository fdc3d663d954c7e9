"""Advice: the smallest changes under which the scheduler would place what it refused.

`scheduler.advice.advising` finds and tries them; `scheduler.advice.telling` says them to people.
"""
