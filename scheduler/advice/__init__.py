"""Advice: the smallest changes under which the scheduler would place what it refused.

`scheduler.advice.search` finds and tries them; `scheduler.advice.text` says them to people.
"""
